"""The default database: one SQLite file, one writer thread, every commit durable."""
