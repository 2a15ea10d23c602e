"""The commands themselves, a file each."""
