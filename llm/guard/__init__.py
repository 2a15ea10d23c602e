"""The guard in the loop: each finished update changed as little as keeps every objective."""
