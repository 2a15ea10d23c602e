"""What statements share: rounding bounds, adversaries, symbolic worlds."""
