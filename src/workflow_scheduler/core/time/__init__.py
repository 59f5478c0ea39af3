"""Time: the clock, zones, cron expressions, intervals, jitter, and what to do with late fires."""
