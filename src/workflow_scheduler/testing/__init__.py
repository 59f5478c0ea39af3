"""The published test kit: fakes, and the conformance suites that every plug-in passes."""
