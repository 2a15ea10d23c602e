"""Scalarizers by name. A new one is one file and one line here, or comes from outside."""

import inspect
from collections.abc import Sequence
from typing import Any

from covlaw.theory._numerics.errors import CovlawError, unknown
from covlaw.theory._numerics.plugins import Registry, parse
from covlaw.theory.scalarizers.protocol import Batch, Observation, Scalarizer, Signal

__all__ = ["SCALARIZERS", "Batch", "Observation", "Scalarizer", "Signal", "make_scalarizer"]

_HERE = "covlaw.theory.scalarizers"
_PARTS = ("before", "after", "init", "signal", "update", "predictions")


def _is_class(found: Any, target: str) -> type[Any]:
    if not inspect.isclass(found):
        raise CovlawError(f"scalarizer {target!r} is {type(found).__name__}, not a class")
    return found


SCALARIZERS: Registry[type[Any]] = Registry(
    "scalarizer",
    "covlaw.scalarizers",
    {
        "linear": f"{_HERE}.linear:Linear",
        "tchebycheff": f"{_HERE}.tchebycheff:Tchebycheff",
        "mgda": f"{_HERE}.mgda:Mgda",
        "gradnorm": f"{_HERE}.gradnorm:GradNorm",
        "lagrangian": f"{_HERE}.lagrangian:Lagrangian",
        "dynamic": f"{_HERE}.dynamic:Dynamic",
        "dynamic_hypervolume": f"{_HERE}.dynamic_hypervolume:DynamicHypervolume",
        "pama": f"{_HERE}.pama:Pama",
        "ctwa": f"{_HERE}.ctwa:Ctwa",
        "covariance_mgda": f"{_HERE}.covariance_mgda:CovarianceMgda",
        "smooth_tchebycheff": f"{_HERE}.smooth_tchebycheff:SmoothTchebycheff",
        "famo": f"{_HERE}.famo:Famo",
        "nash_mtl": f"{_HERE}.nash_mtl:NashMtl",
        "gdpo": f"{_HERE}.gdpo:Gdpo",
        "rvpo": f"{_HERE}.rvpo:Rvpo",
        "dvao": f"{_HERE}.dvao:Dvao",
        "gapo": f"{_HERE}.gapo:Gapo",
        "upgrad": f"{_HERE}.upgrad:Upgrad",
    },
    _is_class,
)
"""Classes by name, imported when asked for; other packages add theirs by entry points."""


def make_scalarizer(name: str, objectives: Sequence[str], **options: Any) -> Scalarizer[Any]:
    """Build a scalarizer for the named objectives.

    Args:
        name: One of `SCALARIZERS`, or "module:Class" or "path/to/file.py:Class" from outside.
        objectives: Names of the rewards, one a column.
        **options: Of that scalarizer.

    Raises:
        CovlawError: for an unknown scalarizer or option (with near matches), a bad value, or a
            class from outside that is no scalarizer.
    """
    from covlaw.theory._numerics.validation import check_names  # which loads torch

    cls = SCALARIZERS.find(name)
    shown = parse("scalarizer", name).name
    known = tuple(inspect.signature(cls).parameters)[1:]
    for option in options:
        if option not in known:
            raise unknown(f"option of scalarizer {shown!r}", option, known)
    try:
        scalarizer: Scalarizer[Any] = cls(check_names(objectives), **options)
    except TypeError as error:
        raise CovlawError(f"options of scalarizer {shown!r}: {error}") from error
    missing = [part for part in _PARTS if not hasattr(scalarizer, part)]
    if missing:
        raise CovlawError(
            f"scalarizer {shown!r} lacks {', '.join(missing)}: see "
            "covlaw.theory.scalarizers.protocol.Scalarizer"
        )
    return scalarizer
