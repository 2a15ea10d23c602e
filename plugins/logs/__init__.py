"""Rollout logs of others and of ours: TRL, verl, tables of any kind, read into one form."""
