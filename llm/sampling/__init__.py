"""Completions from a policy: prompts, engines, rewards of what was drawn."""
