"""Trigger types: one file each, found by listing this folder and the entry points `workflow_scheduler.triggers`."""
