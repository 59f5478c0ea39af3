"""Predicates over events: conditions, globs, names, regular expressions, and the verdicts they give."""
