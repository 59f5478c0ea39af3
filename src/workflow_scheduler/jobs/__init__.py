"""Job types: one file each; a module with a `name` is one, the others are what they share."""
