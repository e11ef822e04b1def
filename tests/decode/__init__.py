"""Tests of the decoder: arrays against a plain decoder of one frame."""
