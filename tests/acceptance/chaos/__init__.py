"""Starts the real service, pours events at it, ends it without warning, and counts what is left."""
