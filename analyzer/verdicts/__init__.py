"""Findings become one verdict an endpoint, verdicts become incidents."""
