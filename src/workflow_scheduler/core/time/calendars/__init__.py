"""Calendars: named sets of days and stretches of time, and what they do to the times of a schedule."""
