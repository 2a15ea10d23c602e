"""The default base model: trained from scratch, cached, spread over answer styles."""

from covlaw.llm.base.cache import default_root, ensure_base
from covlaw.llm.base.config import PRESETS, BaseConfig
from covlaw.llm.base.folder import train_base
from covlaw.llm.base.mixtures import MIXTURES, StyleShare
from covlaw.llm.base.names import base_config, is_base_name, named_base

__all__ = [
    "MIXTURES",
    "PRESETS",
    "BaseConfig",
    "StyleShare",
    "base_config",
    "default_root",
    "ensure_base",
    "is_base_name",
    "named_base",
    "train_base",
]
