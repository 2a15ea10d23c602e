"""Evaluation of policies on a split."""
