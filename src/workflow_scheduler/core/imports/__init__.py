"""Workflow graphs of other systems, read into definitions: pure functions over text, with a report of what is lost."""
