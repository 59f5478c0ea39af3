"""Turns whatever happens into exactly one run of each workflow that asked for it."""
