"""Everything that leaves the process by HTTP: the egress guard and the client behind it."""
