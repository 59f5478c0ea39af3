"""Engines: what executes runs. Each is one file or one folder."""
