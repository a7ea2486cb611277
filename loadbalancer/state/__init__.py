"""What Pulumi knows: deployment, history, config file, lock."""
