"""The stack's configuration: what it may hold, how it is read, and what is wrong with it."""
