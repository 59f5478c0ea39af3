"""A workflow of the model: its versions, which of them is live, and the plan of every trigger it ever had."""

import copy

from timesim.law import Plan
from timesim.restraint import Restraints


class Book:
    """A workflow: its versions as {trigger: Rule}, which of them is live, and the plan of every trigger it ever had."""

    def __init__(self, trigger_id):
        self.trigger_id = trigger_id
        self.plans = {}
        self.versions = []
        self.live = None
        self.paused = False
        self.until = None
        self.extra = 0
        self.restraints = Restraints({}, {})

    def copy(self):
        twin = copy.copy(self)
        twin.plans = {name: plan.copy() for name, plan in self.plans.items()}
        twin.versions = list(self.versions)
        return twin

    def restrain(self, *, calendars=None, windows=None):
        """Change calendars or windows."""
        before = self.restraints
        self.restraints = Restraints(calendars or before.calendars, before.windows if windows is None else windows)
        for plan in self.plans.values():
            plan.restraints = self.restraints

    def release(self, now):
        """Look again at what waits for the end of a window: it is another one now, or gone."""
        for plan in self.plans.values():
            if not plan.resting(now):
                plan.held = None

    @property
    def running(self):
        """The plans of the triggers that are live."""
        return {name: plan for name, plan in self.plans.items() if plan.live}

    def store(self, version):
        if not self.versions or self.versions[-1] != version:
            self.versions.append(version)
            for name, rule in version.items():
                plan = self.plans.get(name)
                if plan is not None and not plan.live and plan.rule.config != rule.config:
                    plan.renew(rule)
        return len(self.versions)

    def publish(self, number, now):
        """Make a version live: what changed counts from now on, what did not goes on undisturbed."""
        self.live, wanted = number, self.versions[number - 1]
        for name, plan in self.running.items():
            if name not in wanted:
                plan.end()
        for name, rule in wanted.items():
            plan = self.plans.get(name)
            if plan is None:
                plan = self.plans[name] = Plan(self.trigger_id(name), rule, now, self.restraints)
                plan.by_workflow = self.paused
            elif plan.rule.config != rule.config:
                plan.edit(rule, now)
            elif not plan.live:
                plan.back(now)
            plan.by_workflow |= self.paused and not plan.paused
            plan.workflow_until = self.until

    def unpublish(self, now):
        self.live = None
        for plan in self.running.values():
            plan.end()

    def pause(self, until):
        self.paused, self.until = True, until
        for plan in self.running.values():
            plan.by_workflow |= not plan.paused
            plan.workflow_until = until

    def resume(self, now, missed, rested=None):
        """End a pause whose last instant was `rested`, or `now` where somebody ends it."""
        self.paused, self.until = False, None
        for plan in self.plans.values():
            plan.workflow_resumes(now, missed, rested)

    def tick(self, now):
        """Let a service look at everything at `now`."""
        if self.paused and self.until is not None and self.until <= now:
            self.resume(now, None, self.until - 1)
        for plan in self.plans.values():
            plan.tick(now)
