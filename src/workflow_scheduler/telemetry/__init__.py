"""What can be seen from outside: figures, log lines, traces."""
