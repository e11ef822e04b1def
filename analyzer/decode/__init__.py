"""Blocks of frames become columns. Never raises on bytes."""

from analyzer.decode.packets import decode

__all__ = ["decode"]
