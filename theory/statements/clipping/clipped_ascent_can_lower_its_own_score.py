"""T28: ascent on the clipped surrogate can lower the very score it is meant to raise.

π_old = (1/4, 1/4, 1/2), π_θ = (1/4, 1/2, 1/4), s = (1, 2, 0), ε = .2: only arm 1 is not clipped,
and it is pushed up at the expense of arm 2: Cov_θ(s, A·1) = −1/64. Two arms cannot; from three on
such policies are reached by exact clipped ascent from π_old itself.
"""

from collections.abc import Iterator
from functools import cache

import numpy as np
import torch
from torch import Tensor

from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.losses.clipping import Clip
from covlaw.theory.statements.base import (
    Ensemble,
    NegativeControl,
    Part,
    Proof,
    Sides,
    Statement,
    joined,
)
from covlaw.theory.statements.clipping._clipped_ascent import (
    GEOMETRIES,
    Bandits,
    clipped_ascent,
    first_order_law,
    worst_own_step,
)

CLIP: Clip = (0.2, 0.2, None)
RUNS = 256
"""Bandits in one search, which claims that some run among them falls."""
PACE = {"natural": (0.05, 80), "vanilla": (0.2, 120)}
"""Rate and number of steps of the searches."""
OLD, SCORE = (0.25, 0.25, 0.5), (1.0, 2.0, 0.0)
NEW = (0.25, 0.5, 0.25)
CROSS_SCORE, CROSS_REWARD, CROSS_RATE = (0.0, 1.0, 2.0), (0.0, 1.0, 1.0), 0.3


def draw(rng: np.random.Generator, count: int) -> Iterator[Bandits]:
    """Yield searches of at least 256 bandits with 3, 4 or 5 arms."""
    for _ in range(0, count, RUNS):
        logits, score = torch.as_tensor(rng.normal(size=(2, RUNS, int(rng.integers(3, 6)))))
        yield Bandits(logits, score)


def sides(bandits: Bandits, _: np.random.Generator) -> Sides:
    """The deepest fall of E s in one step among all runs; and the explicit three arms."""
    return joined([*_search(bandits), example(), cross_example()])


def two_arm_sides(bandits: Bandits, _: np.random.Generator) -> Sides:
    """Where the false claim is true: the same bandits without all arms but two."""
    return joined(_search(Bandits(bandits.logits[:, :2], bandits.score[:, :2])))


def _search(bandits: Bandits) -> list[Part]:
    error = rounding(8 * bandits.score.abs().max(), 64 * bandits.score.shape[1])[None]
    variance = (bandits.policy * bandits.advantage.square()).sum(1)
    deepest = [worst_own_step(bandits, CLIP, g, *PACE[g]).min()[None] for g in GEOMETRIES]
    return [(fall, variance.mean()[None], error) for fall in deepest]


def example() -> Part:
    """Cov_θ(s, A·1) = −1/64 where Var_old(s) > 0 forecasts a rise."""
    bandit = _one(OLD, SCORE)
    law = first_order_law(_row(NEW), bandit.kept(_row(NEW), CLIP), bandit.score)
    forecast = first_order_law(bandit.policy, bandit.advantage, bandit.score)
    return law, forecast, rounding(forecast, 128)


def cross_example() -> Part:
    """Another objective: Cov_old(r, s) = +.3125, and after one step of .3 the law is −.0094."""
    bandit, reward = _one(OLD, CROSS_SCORE), _row(CROSS_REWARD)
    ascent = clipped_ascent(bandit, CLIP, "natural", CROSS_RATE)
    before, after = next(ascent), next(ascent)
    forecast = first_order_law(before, bandit.advantage, reward)
    return (
        first_order_law(after, bandit.kept(after, CLIP), reward),
        forecast,
        rounding(1.0, 128)[None],
    )


def _one(policy: tuple[float, ...], score: tuple[float, ...]) -> Bandits:
    return Bandits(_row(policy).log(), _row(score))


def _row(values: tuple[float, ...]) -> Tensor:
    return torch.tensor([values], dtype=torch.float64)


def remarks() -> list[str]:
    """How often ascent from π_old gets there, on one ensemble: a measurement, not a claim."""
    rng, lines = np.random.default_rng(0), []
    for arms in (3, 4, 5):
        bandits = Bandits(*torch.as_tensor(rng.normal(size=(2, RUNS, arms))))
        fell = {g: worst_own_step(bandits, CLIP, g, *PACE[g]) < 0 for g in GEOMETRIES}
        shares = ", ".join(f"{float(f.double().mean()):.0%} ({g})" for g, f in fell.items())
        lines.append(
            f"{arms} arms, {RUNS} runs, N(0, 1) logits and scores: own score fell in {shares}"
        )
    return lines


@cache
def proofs() -> list[Proof]:
    """Two arms never fall; the three of the example do."""
    from covlaw.theory.statements.clipping import _symbolic_clipping as symbolic

    return [
        Proof(
            "2 arms: Cov_θ(s, A·1) = q(1−q)(s_1−s_2)²((1−p)·i_1 + p·i_2) ≥ 0",
            symbolic.two_arm_residual(),
        ),
        Proof("3 arms: Cov_θ(s, A·1) = −1/64", symbolic.example_residual()),
    ]


STATEMENT = Statement(
    id="T28",
    title="Ascent on the clipped surrogate can lower the score it is meant to raise",
    kind="counterexample",
    explanation="PPO's clipped surrogate is meant to be safe: each inner step should raise the "
    "training score s. But once the arms that moved most are clipped, only the others are still "
    "pushed, and what they gain is taken from all arms, the best one included. From three arms on, "
    "plain and natural ascent alike can reach policies where the next step lowers E s; with two "
    "arms that is impossible. Watch the realised score, not the surrogate, over the inner steps.",
    formula="π_old = (1/4, 1/4, 1/2), π_θ = (1/4, 1/2, 1/4), s = (1, 2, 0), ε = .2:"
    " Cov_θ(s, A·1) = −1/64; min over runs and steps of ΔE s < 0 for ascent from π_old",
    latex=r"\mathrm{Cov}_\theta(s,A\,\mathbf 1)=-\tfrac1{64}<0",
    assumptions=(
        "one prompt, at least three arms, exact expectations",
        "ranges 0.2/0.2; natural steps of .05 or plain steps of .2 from π_old",
        "an existence claim: some run of each search falls, not every run",
    ),
    source="ours",
    needs=Bandits,
    sides=sides,
    control=NegativeControl("two arms, where the score cannot fall", two_arm_sides),
    ensemble=Ensemble(draw, 4 * RUNS),
    not_applicable=dict.fromkeys(
        ("bandit", "tabular", "transformer", "llm"), "the search draws small bandits of its own"
    ),
    proofs=proofs,
    remarks=remarks,
)
