"""Benchmarks: `python -m bench` prints one table of figures, measured on this product and this machine."""
