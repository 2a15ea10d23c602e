"""What every estimator stands on: errors, input checks, sums within prompts, weights, rounding."""
