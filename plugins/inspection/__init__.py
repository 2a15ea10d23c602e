"""What a rollout log says of its rewards: the law, conflicts, weights, and where weights lead."""
