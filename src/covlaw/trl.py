"""Short for `covlaw.plugins.trl`: `from covlaw.trl import Audit, Guard, Scalarized`."""

from covlaw._lazy import lazy_names
from covlaw.plugins.trl import NAMES

__all__ = list(NAMES)

__getattr__, __dir__ = lazy_names(__name__, NAMES, {})
