"""The graph of a workflow's jobs, and the planner that says what a run does next."""
