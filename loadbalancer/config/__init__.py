"""The configuration of a stack: its keys, how it is loaded, checks, and fix commands."""
