"""A service whose loops stand still: it looks at its schedules when the sequence says so, at an instant it knows."""

from sim.world import World

from workflow_scheduler.app import Application


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

    async def look(self):
        """Let the service do what is due."""
        while await self.app.context.workflows._pauses.resume_expired():
            pass
        while await self.app.timer.tick():
            pass
