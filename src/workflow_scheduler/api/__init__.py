"""The HTTP face: one file per resource, and a raw front for events."""
