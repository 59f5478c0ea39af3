"""The words and the pure rules: no I/O, no framework."""
