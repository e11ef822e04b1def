"""Tests of what may be so."""
