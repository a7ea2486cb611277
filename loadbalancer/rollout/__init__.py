"""Progressive rollout: from the present weights to a target in watched steps, or back."""
