"""Drift: the differences between a stack's state and the engine, and their repair."""
