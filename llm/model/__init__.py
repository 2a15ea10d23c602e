"""Policies as `transformers` models: loading, log-probs, memory, precision."""
