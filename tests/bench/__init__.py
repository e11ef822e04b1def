"""Benchmarks: made captures, a comparison with other tools, and the cost of starting."""
