"""Talking to a running service from another program."""
