"""The commands of the LLM rung."""
