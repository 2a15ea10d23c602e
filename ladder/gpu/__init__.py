"""Validation on one GPU, in stages that each stop and continue (`make gpu`; docs/gpu.md)."""
