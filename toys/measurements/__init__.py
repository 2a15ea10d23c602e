"""What a ladder measures besides its verdicts: one module and one line here each.

A module's `measure(seed, quick)` returns JSON-able records without NaN, the same for the same
arguments; a ladder writes them to `<name>.jsonl`, and figures read them there.
"""

from collections.abc import Mapping
from importlib import import_module
from typing import Any, NamedTuple


class Measurement(NamedTuple):
    """When to measure, and how long it takes."""

    rungs: tuple[str, ...]
    """Rungs that a ladder must climb to measure this."""
    cost: float
    """Rough seconds on one core."""


MEASUREMENTS: Mapping[str, Measurement] = {
    "budgets": Measurement(("transformer",), 9.0),
    "convergence": Measurement(("theory",), 1.0),
    "ctwa": Measurement(("theory",), 6.0),
    "calibration": Measurement(("bandit", "tabular", "transformer"), 8.0),
    "geometry": Measurement(("transformer",), 18.0),
    "group_size": Measurement(("bandit",), 5.0),
    "remainder": Measurement(("bandit",), 5.0),
    "clipping": Measurement(("bandit",), 4.0),
    "certificates": Measurement(("theory",), 110.0),
    "slopes": Measurement(("theory",), 50.0),
    "look_ahead": Measurement(("bandit", "tabular", "transformer"), 45.0),
    "gramian_noise": Measurement(("theory",), 3.0),
}
"""By name; the first line of each module says what it measures."""


def measure(name: str, seed: int, quick: bool) -> list[dict[str, Any]]:
    """Return the records of a measurement."""
    module = import_module(f"covlaw.toys.measurements.{name}")
    records: list[dict[str, Any]] = module.measure(seed, quick)
    return records
