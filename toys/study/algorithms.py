"""The algorithms of the study: every scalarizer, its reference implementation, and variants."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

from covlaw.theory._numerics.errors import CovlawError, unknown
from covlaw.theory._numerics.plugins import parse
from covlaw.theory.scalarizers import SCALARIZERS, Scalarizer, make_scalarizer

REFERENCE = "-ref"
"""Ending of an algorithm's name that marks the reference implementation's behaviour."""


class Setting(NamedTuple):
    """What an algorithm's options may depend on."""

    objectives: tuple[str, ...]
    signal: str
    start: Sequence[float]
    """J_j(0) of the policy to be trained."""


class Algorithm(NamedTuple):
    """A scalarizer with its options."""

    name: str
    scalarizer: str
    options: Callable[[Setting], dict[str, Any]]

    def make(self, setting: Setting) -> Scalarizer[Any]:
        """Build it for one run."""
        return make_scalarizer(self.scalarizer, setting.objectives, **self.options(setting))

    def check(self) -> None:
        """Build it once for nothing.

        Raises:
            CovlawError: where a package it needs is not installed.
        """
        self.make(Setting(("first", "second"), "grpo", (0.0, 0.0)))


def _published(setting: Setting) -> dict[str, Any]:
    del setting
    return {}


def _lagrangian(setting: Setting) -> dict[str, Any]:
    """Constraints that fit any world: no objective below its start."""
    return {"minimum": list(setting.start)}


def _covariance_mgda(setting: Setting) -> dict[str, Any]:
    """The geometry that bounds this signal's covariances."""
    return {"geometry": "mean_std" if setting.signal == "grpo" else "raw"}


def _ctwa_fast(setting: Setting) -> dict[str, Any]:
    """The published rule on the time scale of runs of 20 steps instead of hundreds."""
    del setting
    return {"step": 1.0, "ema": 0.5, "cap": 3.0}


def _ctwa_guided(setting: Setting) -> dict[str, Any]:
    """THEORY's guidance: targets half of what is possible, no sampling bias, no whitening."""
    statistic = "grpo" if setting.signal == "grpo" else "pooled"
    return {"step": 1.0, "ema": 0.5, "cap": 3.0, "statistic": statistic, "share": 0.5}


_OPTIONS: Mapping[str, Callable[[Setting], dict[str, Any]]] = {
    "lagrangian": _lagrangian,
    "covariance_mgda": _covariance_mgda,
}
_VARIANTS = (
    Algorithm("ctwa-fast", "ctwa", _ctwa_fast),
    Algorithm("ctwa-guided", "ctwa", _ctwa_guided),
)


def algorithms() -> dict[str, Algorithm]:
    """Every algorithm by name, in the registry's order, each followed by its other forms."""
    found: dict[str, Algorithm] = {}
    for name, cls in SCALARIZERS.items():
        options = _OPTIONS.get(name, _published)
        found[name] = Algorithm(name, name, options)
        if _has_reference(cls.__init__):
            found[name + REFERENCE] = Algorithm(name + REFERENCE, name, _reference(options))
        found |= {v.name: v for v in _VARIANTS if v.scalarizer == name}
    return found


def unavailable() -> dict[str, str]:
    """Algorithms that cannot be built here, and why."""
    found = {}
    for name, algorithm in algorithms().items():
        try:
            algorithm.check()
        except CovlawError as error:
            found[name] = str(error)
    return found


def available() -> list[str]:
    """Names of the algorithms that can be built here."""
    missing = unavailable()
    return [name for name in algorithms() if name not in missing]


def find_algorithm(name: str) -> Algorithm:
    """Look an algorithm up by name, or a scalarizer from outside by its place.

    Raises:
        CovlawError: for an unknown one, with the near matches.
    """
    if ":" in name:
        return Algorithm(parse("scalarizer", name).name, name, _published)
    known = algorithms()
    if name not in known:
        raise unknown("scalarizer", name, tuple(known))
    return known[name]


@cache
def _has_reference(constructor: Callable[..., None]) -> bool:
    return "reference" in inspect.signature(constructor).parameters


def _reference(
    options: Callable[[Setting], dict[str, Any]],
) -> Callable[[Setting], dict[str, Any]]:
    return lambda setting: options(setting) | {"reference": True}
