"""What a run would do and need, before any work."""
