"""What a run keeps on disk while it goes: checkpoints, samples, locks."""
