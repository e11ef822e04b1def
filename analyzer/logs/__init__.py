"""Log lines: what they say, as values."""
