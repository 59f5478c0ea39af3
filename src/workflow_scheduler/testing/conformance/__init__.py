"""Conformance suites: one per kind of plug-in, run over every member."""
