"""A service whose loops stand still: it looks at its schedules when the sequence says so, at an instant it knows."""

from sim.world import World

from workflow_scheduler.app import Application

ROUNDS_MAX = 1000
_MOVING = """SELECT id FROM runs WHERE status IN ('QUEUED', 'RUNNING', 'PAUSED') AND (owner <> 'parked'
  OR wake_at = 0) AND overlap_key IS NOT NULL LIMIT 3"""


class _Still(Application):
    """The service without its loops."""

    def _begin_loops(self):
        pass


class StillWorld(World):
    """One installation on virtual time, crashed and restarted by the sequence alone."""

    service = _Still

    def go_to(self, instant):
        """Set the clock."""
        self.clock.jump((instant - self.clock.now()) / 1_000_000)

    async def crash(self):
        self.app.store.sever()
        self.crashes += 1
        await self._end_process()
        await self.start()

    async def read(self, text):
        return self.select(text)

    async def look(self):
        """Let the service do what is due."""
        while await self.app.context.workflows._pauses.resume_expired():
            pass
        while await self.app.timer.tick():
            pass
        while await self.app.backfilling.tick():
            pass

    async def quiet(self):
        """Wait until no run that others wait for is on its way; those of a process that was killed are taken over."""
        for number in range(1, ROUNDS_MAX):
            if not self.select(_MOVING):
                return
            self.app.wakes.hint()
            await self.clock.sleep(0.001)
            if number % 50 == 0:
                await self.app.recovery.take_over()
        self.complaints.append(f"runs that do not come to rest: {self.select(_MOVING)}")
