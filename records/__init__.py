"""What a run wrote, and what it means."""
