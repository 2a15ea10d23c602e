"""How often floors by a lower confidence bound, and falls by an upper one, are wrong (T63).

    python tools/guard/certified.py --out figures/data/guard-certified/guard_certified.jsonl

Two objectives of known gradients g = k·φ(z)·w: a completion has a score s·x, x normal in d
dimensions, s = 1 or Pareto of index 2.5 and mean 1; a reward is 1, with probability p, where
.3 w·x and more noise are large. Step, rewards and completions by batch; a record a cell counts,
of n batches,

- `kept`, `fell`: objective 2, which the step neither raises nor lowers, passes `certified_floor`,
  or is certainly below a floor of 0 (what halves a step); nominal 2.5 % each, of two objectives;
- `zero`, `certified`: it is lowered by a step that the guard corrected with floors of 0, or
  certified ones, from gradients of the same completions; unguarded it always is (cosine −.5);
- `passed`, `judged`: certified ones that pass `certified_floor` on as many other completions, and
  those of them that lower it all the same;
- `left zero`, `left certified`: not a count, the median of its effect over the unguarded one;
- `silent`: some objective has no gradient in the sample, and cannot be guarded.
"""

import argparse
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import norm

from covlaw.records.environment import describe
from covlaw.records.runs import ENVIRONMENT, to_json, write_text
from covlaw.theory.guard import certified_floor
from covlaw.theory.solvers.least_change import guard_weights

Array = NDArray[np.float64]

CORRELATION, COSINE, LEVEL = 0.3, -0.5, 0.95
SHAPES = tuple(product((4, 8, 16, 32, 64), (4, 16)))
"""Prompts and completions a prompt."""
CHANCES, TAILS, DIMENSIONS = (0.02, 0.1, 0.5), ("normal", "heavy"), (2, 128)
BATCHES, CHUNK = 1000, 50


class Cell(NamedTuple):
    """One law of completions and one shape."""

    tail: str
    chance: float
    dimensions: int
    prompts: int
    completions: int


class Samples(NamedTuple):
    """B batches of P prompts of K completions."""

    scores: Array
    """(B, P, K, d)."""
    rewards: Array
    """(B, P, K, 2) about their prompt's mean."""


def counted(cell: Cell, batches: int, seed: int) -> dict[str, Any]:
    """One record."""
    rng = np.random.default_rng([seed, *(round(1000 * v) for v in cell[1:]), len(cell.tail)])
    sizes = [min(CHUNK, batches - begin) for begin in range(0, batches, CHUNK)]
    chunks = [_chunk(cell, size, rng) for size in sizes]
    whole = {name: np.concatenate([chunk[name] for chunk in chunks]) for name in chunks[0]}
    found = {
        name: int(values.sum()) if values.dtype == bool else float(f"{np.median(values):.4g}")
        for name, values in whole.items()
    }
    return {**cell._asdict(), "n": batches, **found}


def _chunk(cell: Cell, batches: int, rng: np.random.Generator) -> dict[str, NDArray[Any]]:
    first, other = directions(cell.dimensions)
    across = first - COSINE * other  # leaves objective 2 where it is
    own, apart = (draw(cell, batches, rng) for _ in range(2))
    effect, error = effects(own, np.broadcast_to(across, (batches, cell.dimensions)))
    bound = _bounds(error, cell)
    gradient = np.einsum("bpkm,bpkd->bmd", own.rewards, own.scores) / _degrees(cell)
    gram = gradient @ gradient.transpose(0, 2, 1)
    step = np.broadcast_to(first, (batches, cell.dimensions))
    plain, spread = effects(own, step)
    taken = {
        name: step + np.einsum("bm,bmd->bd", guard_weights(gram, plain, floor).numpy(), gradient)
        for name, floor in (("zero", 0.0), ("certified", _bounds(spread, cell)))
    }
    left = {name: _cut(found) @ other / COSINE for name, found in taken.items()}
    seen, doubt = effects(apart, taken["certified"])
    passed = (seen >= _bounds(doubt, cell)).all(1)
    return {
        "kept": effect[:, 1] > bound[:, 1],
        "fell": effect[:, 1] < -bound[:, 1],
        **{name: share > 0 for name, share in left.items()},
        "passed": passed,
        "judged": passed & (left["certified"] > 0),
        "silent": (gram.diagonal(axis1=1, axis2=2) == 0).any(1),
        **{f"left {name}": share for name, share in left.items()},
    }


def directions(dimensions: int) -> tuple[Array, Array]:
    """Of the two gradients: unit vectors."""
    first, other = np.zeros((2, dimensions))
    first[0] = 1
    other[:2] = COSINE, (1 - COSINE**2) ** 0.5
    return first, other


def draw(cell: Cell, batches: int, rng: np.random.Generator) -> Samples:
    """Draw completions, score them, and take each prompt's mean off its rewards."""
    size = (batches, cell.prompts, cell.completions)
    latent = rng.standard_normal((*size, cell.dimensions))
    noise = (1 - CORRELATION**2) ** 0.5 * rng.standard_normal((*size, 2))
    seen = CORRELATION * latent @ np.stack(directions(cell.dimensions), 1) + noise
    rewards = (seen > norm.isf(cell.chance)).astype(np.float64)
    if cell.tail == "heavy":
        latent *= (0.6 * rng.random(size) ** -0.4)[..., None]
    return Samples(latent, rewards - rewards.mean(2, keepdims=True))


def effects(own: Samples, step: Array) -> tuple[Array, Array]:
    """First-order effects (B, 2) of steps (B, d), with errors clustered by prompt."""
    along = np.einsum("bpkd,bd->bpk", own.scores, step)
    completions = along.shape[2]
    by_prompt = np.einsum("bpkm,bpk->bpm", own.rewards, along) / (completions - 1)
    return by_prompt.mean(1), by_prompt.std(1, ddof=1) / by_prompt.shape[1] ** 0.5


def _cut(step: Array) -> Array:
    """Not longer than the optimiser's step, whose length is 1."""
    return step / np.maximum(1.0, np.linalg.norm(step, axis=1, keepdims=True))


def _degrees(cell: Cell) -> int:
    return cell.prompts * (cell.completions - 1)


def _bounds(error: Array, cell: Cell) -> Array:
    return certified_floor(error, cell.prompts, level=LEVEL).numpy()


def records(batches: int, seed: int) -> Iterator[dict[str, Any]]:
    """One a cell."""
    for tail, chance, dimensions, shape in product(TAILS, CHANCES, DIMENSIONS, SHAPES):
        yield counted(Cell(tail, chance, dimensions, *shape), batches, seed)


def main() -> None:
    """Count, and write the record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--batches", type=int, default=BATCHES)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    torch.set_num_threads(1)
    given.out.parent.mkdir(parents=True, exist_ok=True)
    with given.out.open("w", encoding="utf-8") as file:
        for record in records(given.batches, given.seed):
            file.write(to_json(record) + "\n")
            file.flush()
    write_text(given.out.parent / ENVIRONMENT, to_json(describe(), indent=1) + "\n")


if __name__ == "__main__":
    main()
