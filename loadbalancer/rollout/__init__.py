"""Progressive rollout: from the present weights to others in watched steps, or back again."""
