"""A report becomes text or JSON: one module a format."""
