"""Pretrained models without a hub: a GGUF file, or one inside a package, as a plain folder."""
