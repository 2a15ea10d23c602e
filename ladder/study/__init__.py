"""The interference study: plan, runs, table, summary."""
