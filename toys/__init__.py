"""Worlds small enough to enumerate: bandit, token tree, transformer."""
