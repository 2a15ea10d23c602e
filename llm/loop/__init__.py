"""One step of RL: signals, losses, updates, what an algorithm observes."""
