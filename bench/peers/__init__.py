"""The same work done by others, each in an environment of its own, so that a ratio can be given."""
