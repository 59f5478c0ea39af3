"""The command line `workflow-scheduler` (short: `wfs`): one module for each noun."""
