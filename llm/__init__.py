"""The LLM rung: a real RL loop, its audits and records."""
