"""Columns become flows and their significant segments."""
