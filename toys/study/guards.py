"""The guards of the study, by name: what changes a step, and the rivals it is compared with."""

from collections.abc import Mapping
from typing import Literal, NamedTuple

from covlaw.theory._numerics.errors import CovlawError, unknown

Place = Literal["nowhere", "step", "gradient", "direction", "solver", "whitening"]
Control = Literal["none", "halving", "curvature"]

POOL = 64
"""Completions a prompt that a pooled guard fills up to with those of earlier steps: chosen on 72
transformer worlds with linear weights, so that what it reached there is optimistic."""


class Guard(NamedTuple):
    """How a run is guarded."""

    place: Place = "nowhere"
    """The finished step (T58); the gradient before the optimiser (GEM), or another direction in its
    place (ConFIG); the Gramian that the scalarizer asks for, taken in the optimiser's metric; or
    the gradient, whitened (MAdam)."""
    metric: bool = True
    """Whether steps are projected in the optimiser's metric, else in the plain one."""
    control: Control = "none"
    """What is done about objectives that the finished step lowers (T60): halve the step, or raise
    their floors by what curvature took. The judge is exact."""
    restoring: float = 0.0
    """κ of floors that ask back what an objective has lost since the start (T64), as the batch that
    makes the update knows it: exactly."""
    crossed: bool = False
    """Whether the Gramian is that of two halves of the samples, shrunk by its error (T62)."""
    shrunk: bool = True
    """Whether a crossed Gramian is shrunk; if not, only its negative eigenvalues are set to 0."""
    pool: int = 0
    """Completions a prompt that are read, those of earlier steps with them (`memory`); 0: only the
    step's own."""
    best: float = 0.0
    """Share of the way from the start to the best so far that restoring floors hold."""
    certified: float = 0.0
    """Standard errors of the effects that the floors are raised by."""
    secants: int = 0
    """Last steps whose realised changes the gradients are made to agree with."""
    share: float = 0.0
    """Of the step's largest effect, that every objective must have."""

    @property
    def sampled(self) -> bool:
        """Whether it is about noise, so that it needs samples."""
        return bool(
            self.crossed or self.pool or self.certified or self.secants or self.sampled_gramian
        )

    @property
    def sampled_gramian(self) -> bool:
        """Whether the scalarizer is given its Gramian from samples, in the plain metric."""
        return self.place == "solver" and not self.metric


GUARDS: Mapping[str, Guard] = {
    "none": Guard(),
    "guard": Guard("step"),
    "guard-halving": Guard("step", control="halving"),
    "guard-curvature": Guard("step", control="curvature"),
    "guard-share": Guard("step", share=0.1),
    "guard-share-halving": Guard("step", control="halving", share=0.1),
    "guard-restoring-.3": Guard("step", restoring=0.3),
    "guard-restoring-.5": Guard("step", restoring=0.5),
    "guard-restoring-1": Guard("step", restoring=1.0),
    "guard-restoring-curvature": Guard("step", control="curvature", restoring=1.0),
    "guard-crossed": Guard("step", crossed=True),
    "guard-crossed-restoring-1": Guard("step", restoring=1.0, crossed=True),
    "guard-pool": Guard("step", pool=POOL),
    "guard-pool-restoring-.5": Guard("step", restoring=0.5, pool=POOL),
    "guard-pool-restoring-1": Guard("step", restoring=1.0, pool=POOL),
    "guard-longer-pool-restoring-1": Guard("step", restoring=1.0, pool=4 * POOL),
    "guard-pool-restoring-curvature": Guard("step", control="curvature", restoring=1.0, pool=POOL),
    "guard-best-restoring-1": Guard("step", restoring=1.0, best=0.5),
    "guard-certified-restoring-1": Guard("step", restoring=1.0, certified=1.0),
    "guard-secants-restoring-1": Guard("step", restoring=1.0, secants=1),
    "guard-plain-metric": Guard("step", metric=False),
    "halving": Guard(control="halving"),
    "gem": Guard("gradient", metric=False),
    "config": Guard("direction", metric=False),
    "gramian-in-metric": Guard("solver"),
    "gramian-plain": Guard("solver", metric=False),
    "gramian-crossed": Guard("solver", metric=False, crossed=True),
    "gramian-unshrunk": Guard("solver", metric=False, crossed=True, shrunk=False),
    "madam": Guard("whitening"),
}
"""`gem`: each gradient that the optimiser is given, projected (Lopez-Paz & Ranzato 2017).
`config`: the optimiser is given ConFIG's direction instead, whatever the scalarizer says (Liu, Chu
& Thuerey 2024, arXiv 2408.11104, without its momentum form).
`gramian-in-metric`: MGDA and UPGrad with the optimiser's metric in their Gramian. `gramian-plain`,
`-crossed` and `-unshrunk`: no guard, but the Gramian that a scalarizer asks for is that of sampled
completions; what is done with its weights stays exact. `madam`: the
gradient is divided by √(λ'Fλ) + ε, F_jk the running mean of g_j⊙g_k with Adam's β₂ (Liu et al.
2026, arXiv 2606.03904, rebuilt from its published equations; the bias of F's start is corrected as
Adam corrects its own)."""


def find_guard(name: str) -> Guard:
    """Look a guard up by name.

    Raises:
        CovlawError: for an unknown one, with the near matches.
    """
    if name not in GUARDS:
        raise unknown("guard", name, tuple(GUARDS))
    return GUARDS[name]


def check_samples(name: str, samples: int) -> None:
    """Refuse guards that cannot work on so many sampled completions of each prompt (0: exact).

    Raises:
        CovlawError: on fewer than 2 (4 for two halves), and a crossed guard without samples.
    """
    guard = find_guard(name)
    least = 4 if guard.crossed else 2
    if samples < 0 or (samples and samples < least):
        raise CovlawError(
            f"samples is {samples}: guard {name!r} needs {least} or more, or 0: exact"
        )
    if guard.sampled and not samples:
        raise CovlawError(f"guard {name!r} is about sampling noise: give it some samples")
    if samples and guard.place != "step" and not guard.sampled_gramian:
        raise CovlawError(f"guard {name!r} has no sampled form: leave samples at 0")
