"""A calendar on a server that enforces its documented rules; each number is an entry."""

from servers.google_calendar import Calendars


class Peer(Calendars):
    type = "google_calendar"

    def config(self):
        return {"type": "google_calendar", "connection": "cloud", "calendar": self.calendar, "every": 1}

    async def publish(self, numbers):
        for number in numbers:
            self.set(f"entry{number}", summary=str(number))

    def number(self, data):
        return int(data["summary"])
