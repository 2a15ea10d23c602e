"""Policy losses: each formula, what it weighs, and the score it follows."""
