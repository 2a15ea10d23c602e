"""The study's worlds and runs, many policies side by side."""
