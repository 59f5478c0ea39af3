"""What the rooms need from each other, one Protocol per file."""
