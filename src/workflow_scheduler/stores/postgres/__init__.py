"""PostgreSQL, for several instances of the program on one database."""
