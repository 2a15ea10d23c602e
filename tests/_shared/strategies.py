"""Hypothesis strategies: the inputs that the estimators promise to handle.

Policies may be near-deterministic or leave completions out; rewards may tie, be constant, span
many magnitudes or carry a big offset; prompt ids are any integers in any order.
"""

from typing import NamedTuple

import torch
from hypothesis import strategies as st
from torch import Tensor

from covlaw.theory._numerics.weighting import Grouping

SMALLEST, LARGEST = 1e-60, 1e60  # products of three such numbers neither under- nor overflow


class Bandit(NamedTuple):
    """Rows of several prompts; `mass` is None when they are samples."""

    prompt: Tensor  # (N,)
    rewards: Tensor  # (N, M)
    score: Tensor  # (N,)
    mass: Tensor | None
    prompt_mass: Tensor | None

    @property
    def groups(self) -> Grouping:
        return Grouping(self.prompt, self.mass, self.prompt_mass)


def numbers(largest: float = LARGEST) -> st.SearchStrategy[float]:
    """0 and floats of either sign on a wide scale."""
    positive = st.floats(SMALLEST, largest)
    return st.one_of(st.just(0.0), positive, positive.map(lambda x: -x))


def columns(rows: int) -> st.SearchStrategy[list[float]]:
    """One reward column: wide, modest, tied, constant, or small differences on a big offset."""
    modest = st.floats(-3, 3, allow_subnormal=False).map(lambda x: round(x, 6))
    offset = st.tuples(st.sampled_from([1e4, -1e8]), st.lists(modest, min_size=rows, max_size=rows))
    return st.one_of(
        st.lists(numbers(), min_size=rows, max_size=rows),
        st.lists(modest, min_size=rows, max_size=rows),
        st.lists(st.sampled_from([0.0, 1.0, 2.0]), min_size=rows, max_size=rows),
        numbers(1e6).map(lambda c: [c] * rows),
        offset.map(lambda pair: [pair[0] + x for x in pair[1]]),
    )


@st.composite
def policies(draw: st.DrawFn, arms: int) -> list[float]:
    """Probabilities of `arms` completions: uniform to near-deterministic, some exactly 0."""
    exponent = st.one_of(st.just(None), st.integers(0, 3), st.integers(0, 200))
    exponents = draw(st.lists(exponent, min_size=arms, max_size=arms))
    exponents[draw(st.integers(0, arms - 1))] = 0  # at least one completion has mass
    raw = [0.0 if e is None else 2.0**-e * draw(st.sampled_from([1, 0.7])) for e in exponents]
    return [x / sum(raw) for x in raw]


def prompt_ids(count: int) -> st.SearchStrategy[list[int]]:
    """Distinct 64-bit integers, in any order."""
    any_id = st.integers(-(2**63), 2**63 - 1)
    return st.lists(any_id, min_size=count, max_size=count, unique=True)


@st.composite
def bandits(draw: st.DrawFn, exact: bool = True, max_arms: int = 6) -> Bandit:
    """Enumerated (with masses) or sampled rows of 1–3 prompts, rows in any order."""
    sizes = draw(st.lists(st.integers(1 if exact else 2, max_arms), min_size=1, max_size=3))
    ids, rows = draw(prompt_ids(len(sizes))), sum(sizes)
    rewards = [draw(columns(rows)) for _ in range(draw(st.integers(1, 3)))]
    masses = [m for size in sizes for m in draw(policies(size))]
    weights = draw(st.none() | policies(len(sizes)))
    order = torch.tensor(draw(st.permutations(range(rows))))
    prompt = torch.tensor([x for x, size in zip(ids, sizes, strict=True) for _ in range(size)])
    return Bandit(
        prompt[order],
        torch.tensor(rewards, dtype=torch.float64).T,
        torch.tensor(draw(columns(rows)), dtype=torch.float64),
        torch.tensor(masses, dtype=torch.float64)[order] if exact else None,
        None if weights is None else torch.tensor(weights, dtype=torch.float64),
    )


@st.composite
def token_batches(draw: st.DrawFn) -> tuple[Tensor, Tensor, Tensor]:
    """`(advantage (N,), log_ratio (N, T), mask (N, T))` with NaN and ±inf in the padding."""
    rows, length = draw(st.integers(1, 4)), draw(st.integers(1, 5))
    mask = draw(st.lists(st.booleans(), min_size=rows * length, max_size=rows * length))
    inside = st.floats(-2, 2, allow_subnormal=False)
    padding = st.sampled_from([float("nan"), float("inf"), -float("inf"), 0.5])
    values = [draw(inside if true else padding) for true in mask]
    advantage = draw(st.lists(st.sampled_from([-1.5, 0.0, 0.3, 2.0]), min_size=rows, max_size=rows))
    shape = (rows, length)
    return (
        torch.tensor(advantage, dtype=torch.float64),
        torch.tensor(values, dtype=torch.float64).reshape(shape),
        torch.tensor(mask).reshape(shape),
    )


CLIPS = st.tuples(
    st.sampled_from([0.0, 0.1, 0.2, 1.0]),
    st.sampled_from([0.0, 0.2, 0.28, float("inf")]),
    st.sampled_from([None, 1.1, 3.0]),
)
"""`(clip_low, clip_high, dual_clip)`."""
