"""The verdict of recorded LLM runs: what the law forecast, and what happened."""
