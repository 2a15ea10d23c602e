"""The guard: whatever an optimiser did, the least change of its step that keeps every objective.

Pieces, each a pure function of tensors, that a training loop puts together:

1. before the optimiser steps: ``old = snapshot(parameters)``, and the M gradients g_j = ∇J_j at
   θ_old of *observed* completions of π_old, never those of the batch (T63): one backward pass each,
   through Σ (r_j − r̄_j)·log π/(K − 1), averaged over prompts. ``flat_gradient`` flattens them.
2. after it: ``u = step_since(old, parameters)``, ``P = optimiser_metric(optimizer, parameters)``.
3. ``guarded = guard_step(u, gradients, P.values, floor)``; where ``guarded.changed > 0``:
   ``write_step(old, parameters, guarded.step)``. Optimiser state stays as it is.

Options, to be composed: ``floor`` = 0, ``RestoringFloors`` (state a NamedTuple, checkpoint it),
``certified_floor``; ``gram`` = ``shrunk_gramian(crossed_products(A, B, P), plain)`` of two halves;
``halved`` or ``curvature_floors`` with a judge that measures ``exact_change`` on a third set of
completions; ``due`` and ``needed`` for when to pay.

Across processes, or with one gradient in memory at a time, the vectors never need to meet: sum the
inner products g_j'P g_k, g_j·u and u'P⁻¹u over shards and pass them to ``correction``, which
returns the M weights. Column k of a crossed Gramian is Cov_B(r_j, ⟨∇log π, P ĝ_k^A⟩) for all j: one
forward-mode pass on half B; the correction itself is one backward pass with Σ_k μ_k(r_k − E r_k) as
the advantage. Every result carries ``notes``: what was refused or replaced, to be said once.
"""

from covlaw.theory.guard.control import Controlled, Judged, curvature_floors, falls, halved
from covlaw.theory.guard.correction import Correction, correction
from covlaw.theory.guard.floors import (
    RestoringFloors,
    RestoringState,
    certified_floor,
    largest_strength,
)
from covlaw.theory.guard.gramian import (
    ShrunkGramian,
    crossed_gramian,
    crossed_products,
    shrunk_gramian,
)
from covlaw.theory.guard.metric import Metric, optimiser_metric
from covlaw.theory.guard.parameters import flat_gradient, snapshot, step_since, write_step
from covlaw.theory.guard.step import Guarded, guard_step
from covlaw.theory.guard.timing import due, needed

__all__ = [
    "Controlled",
    "Correction",
    "Guarded",
    "Judged",
    "Metric",
    "RestoringFloors",
    "RestoringState",
    "ShrunkGramian",
    "certified_floor",
    "correction",
    "crossed_gramian",
    "crossed_products",
    "curvature_floors",
    "due",
    "falls",
    "flat_gradient",
    "guard_step",
    "halved",
    "largest_strength",
    "needed",
    "optimiser_metric",
    "shrunk_gramian",
    "snapshot",
    "step_since",
    "write_step",
]
