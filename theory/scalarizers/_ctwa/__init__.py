"""What CTWA is made of beside its rule: the published gate, and targets."""
