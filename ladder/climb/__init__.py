"""Climbing the ladder: jobs, processes, folder, live table."""
