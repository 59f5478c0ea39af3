"""How things are heard: one loop per shape of source."""
