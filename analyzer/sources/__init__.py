"""Inputs: everything here gives blocks of frames (model.blocks)."""
