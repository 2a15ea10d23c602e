"""Scalarizers by name. A new one is one file and one line here."""

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from covlaw.theory._numerics.errors import CovlawError, unknown
from covlaw.theory._numerics.validation import check_names
from covlaw.theory.scalarizers.covariance_mgda import CovarianceMgda
from covlaw.theory.scalarizers.ctwa import Ctwa
from covlaw.theory.scalarizers.dynamic import Dynamic
from covlaw.theory.scalarizers.dynamic_hypervolume import DynamicHypervolume
from covlaw.theory.scalarizers.famo import Famo
from covlaw.theory.scalarizers.gdpo import Gdpo
from covlaw.theory.scalarizers.gradnorm import GradNorm
from covlaw.theory.scalarizers.lagrangian import Lagrangian
from covlaw.theory.scalarizers.linear import Linear
from covlaw.theory.scalarizers.mgda import Mgda
from covlaw.theory.scalarizers.nash_mtl import NashMtl
from covlaw.theory.scalarizers.pama import Pama
from covlaw.theory.scalarizers.protocol import Batch, Observation, Scalarizer, Signal
from covlaw.theory.scalarizers.smooth_tchebycheff import SmoothTchebycheff
from covlaw.theory.scalarizers.tchebycheff import Tchebycheff
from covlaw.theory.scalarizers.upgrad import Upgrad

__all__ = ["SCALARIZERS", "Batch", "Observation", "Scalarizer", "Signal", "make_scalarizer"]

SCALARIZERS: Mapping[str, type[Any]] = {
    "linear": Linear,
    "tchebycheff": Tchebycheff,
    "mgda": Mgda,
    "gradnorm": GradNorm,
    "lagrangian": Lagrangian,
    "dynamic": Dynamic,
    "dynamic_hypervolume": DynamicHypervolume,
    "pama": Pama,
    "ctwa": Ctwa,
    "covariance_mgda": CovarianceMgda,
    "smooth_tchebycheff": SmoothTchebycheff,
    "famo": Famo,
    "nash_mtl": NashMtl,
    "gdpo": Gdpo,
    "upgrad": Upgrad,
}


def make_scalarizer(name: str, objectives: Sequence[str], **options: Any) -> Scalarizer[Any]:
    """Build a scalarizer for the named objectives.

    Raises:
        CovlawError: for an unknown scalarizer or option (with near matches), or a bad value.
    """
    if name not in SCALARIZERS:
        raise unknown("scalarizer", name, tuple(SCALARIZERS))
    cls = SCALARIZERS[name]
    known = tuple(inspect.signature(cls).parameters)[1:]
    for option in options:
        if option not in known:
            raise unknown(f"option of scalarizer {name!r}", option, known)
    try:
        scalarizer: Scalarizer[Any] = cls(check_names(objectives), **options)
    except TypeError as error:
        raise CovlawError(f"options of scalarizer {name!r}: {error}") from error
    return scalarizer
