"""Segments, flows and verdicts as tables, for tools that take columns: Parquet, CSV."""
