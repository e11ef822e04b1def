"""Logs beside captures."""
