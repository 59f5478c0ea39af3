"""Plug-ins for workflow-scheduler: status pages."""
