"""The schedules of other systems: read from their files, and compared with what this program makes of them (pure)."""
