"""Workflows after others: what is needed, within which window, and what an end that arrives changes. Pure rules."""
