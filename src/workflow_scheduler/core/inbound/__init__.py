"""What inbound requests have in common: bodies of any kind as JSON, and signatures over raw bytes."""
