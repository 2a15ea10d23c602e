"""covlaw inside TRL's GRPO and RLOO trainers: `from covlaw.trl import Audit, Guard, Scalarized`.

Needs the extra `covlaw[trl]`; docs/trl.md shows each in a script and says what is tested.
"""

from covlaw._lazy import lazy_names

NAMES = {name: f"{__name__}.{name.lower()}" for name in ("Audit", "Guard", "Scalarized")}

__all__ = list(NAMES)

__getattr__, __dir__ = lazy_names(__name__, NAMES, {})
