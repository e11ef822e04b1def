"""Segments step two shadow sockets, which report events."""
