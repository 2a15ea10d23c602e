"""A reader a format: each yields blocks of columns, a file at a time."""
