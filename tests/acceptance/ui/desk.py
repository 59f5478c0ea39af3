"""What a person does at a browser window, with the clicks counted."""

import re

FLOWS = [
    {
        "name": "sales",
        "description": "Load the sales of yesterday and tell the team.",
        "triggers": {
            "nightly": {"type": "cron", "cron": "30 2 * * *", "timezone": "America/New_York"},
            "orders": {
                "type": "webhook", "path": "orders", "signature": {"scheme": "none"},
                "condition": "event.data.amount > 100",
            },
            "by-hand": {"type": "manual"},
        },
        "jobs": {
            "extract": {"run": "echo extracted 100 rows"},
            "clean": {"needs": ["extract"], "uses": "noop"},
            "enrich": {"needs": ["extract"], "uses": "noop"},
            "ask": {
                "needs": ["clean", "enrich"], "uses": "approval", "with": {"ask": "Send the figures?", "timeout": "1h"},
            },
            "tell": {"needs": ["ask"], "if": "jobs.ask.output.approved", "uses": "noop"},
        },
    },
    {
        "name": "broken",
        "triggers": {"by-hand": {"type": "manual"}},
        "jobs": {"sync": {"run": "echo boom >&2; exit 3"}, "after": {"needs": ["sync"], "uses": "noop"}},
    },
]  # fmt: skip
TOLD = re.compile("Failed to load resource")  # a page that was told no says so itself


class Desk:
    """A page of the browser on a service."""

    def __init__(self, page, service):
        self.page = page
        self.service = service
        self.clicks = 0
        self.errors = []
        page.set_default_timeout(15_000)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", self._heard)

    def _heard(self, message):
        if message.type == "error" and not TOLD.search(message.text) and "ERR_CONNECTION" not in message.text:
            self.errors.append(message.text)

    def open(self, path):
        self.page.goto(self.service.url + path)
        self.page.locator("h1").first.wait_for()
        self.clicks = 0
        return self

    def click(self, name, role="button", within=None):
        """Click what has this name; a click of a person."""
        self.clicks += 1
        place = self.page if within is None else within
        place.get_by_role(role, name=name, exact=True).first.click()

    def see(self, text):
        """Wait until the page shows `text`."""
        self.page.get_by_text(text).first.wait_for()

    def fill(self, label, value):
        self.page.get_by_label(label).first.fill(value)

    def workflow(self, name):
        """Return the id of a workflow."""
        return next(one["id"] for one in self.service.items("/api/v1/workflows") if one["name"] == name)
