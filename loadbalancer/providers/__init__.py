"""Dynamic resources: what Pulumi manages inside the running nginx and on the host.

The module paths and class names of this package are frozen. Pulumi pickles a provider by reference
into the state of each stack, so that a provider that is moved or renamed makes every existing stack
impossible to refresh, update or destroy. tests/fixtures/state-v1.json is a state to check against.
"""
