"""A real chat model on this machine: runs with and without the guard, judged held-out."""
