"""What the files of a run hold, as data, and the one check of it."""
