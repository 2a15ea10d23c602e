"""The default base model: trained from scratch, cached, spread over answer styles."""

from covlaw.llm.base.cache import default_root, ensure_base
from covlaw.llm.base.config import PRESETS, BaseConfig, StyleShare
from covlaw.llm.base.folder import train_base

__all__ = ["PRESETS", "BaseConfig", "StyleShare", "default_root", "ensure_base", "train_base"]
