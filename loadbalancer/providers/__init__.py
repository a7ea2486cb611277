"""Dynamic resources: what Pulumi manages inside a running nginx and on the host."""
