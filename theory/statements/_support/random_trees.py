"""Random token trees: contexts that offer different tokens, completions of different lengths."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from covlaw.theory.worlds.token_tree import TokenTree, TreeShape, softmax_tree

LONGEST = 4
"""Tokens at most; a completion that has not ended by then is cut off."""


def random_tree(rng: np.random.Generator) -> TokenTree:
    """Draw a policy of 1–3 prompts, 2–15 completions each, and 1–3 objectives.

    A softmax of each context, with one free logit a token or with random features; some objectives
    pay for short completions.
    """
    shape = random_shape(rng, int(rng.integers(1, 4)))
    rows, columns, choices = len(shape.prompt), int(rng.integers(1, 4)), len(shape.context)
    rewards = torch.as_tensor(np.stack([random_rewards(rng, rows) for _ in range(columns)], 1))
    if rng.integers(3) == 0:
        rewards[:, 0] = -(shape.choice >= 0).sum(1).to(torch.float64)
    prompts = int(shape.prompt.max()) + 1
    design = _features(rng, shape.context) if rng.integers(2) else None
    width = choices if design is None else design.shape[1]
    return softmax_tree(
        shape,
        torch.as_tensor(rng.normal(scale=rng.choice([0.3, 1.0]), size=width)),
        rewards,
        tuple(f"objective {j}" for j in range(columns)),
        "token tree" if design is None else "log-linear token tree",
        torch.as_tensor(rng.dirichlet(np.ones(prompts))) if rng.integers(2) else None,
        design,
    )


def random_shape(rng: np.random.Generator, prompts: int, longest: int = LONGEST) -> TreeShape:
    """Draw which tokens each context offers: one or two symbols, and mostly the end of sequence."""
    growth = _Growth(rng, longest)
    for x in range(prompts):
        growth.extend(x, [])
    return TreeShape(
        torch.as_tensor(growth.owner), _padded(growth.strings), torch.as_tensor(growth.context)
    )


class _Growth:
    """Completions found so far, and the context of each choice."""

    def __init__(self, rng: np.random.Generator, longest: int) -> None:
        self.rng, self.longest = rng, longest
        self.strings: list[list[int]] = []
        self.owner: list[int] = []
        self.context: list[int] = []
        self.contexts = 0

    def extend(self, prompt: int, prefix: list[int]) -> None:
        """Draw what may follow a prefix, and what may follow that."""
        symbols = int(self.rng.integers(1, 3))
        only_one = symbols == 1 and not prefix  # a prompt has at least two completions
        ends = only_one or bool(self.rng.random() < 0.8)
        first = len(self.context)
        self.context += [self.contexts] * (symbols + ends)
        self.contexts += 1
        for k in range(symbols + ends):
            written = [*prefix, first + k]
            if k == symbols or len(written) == self.longest:
                self.strings.append(written)
                self.owner.append(prompt)
            else:
                self.extend(prompt, written)


def _padded(strings: list[list[int]]) -> Tensor:
    width = max(map(len, strings))
    return torch.as_tensor([s + [-1] * (width - len(s)) for s in strings])


def _features(rng: np.random.Generator, context: Tensor) -> Tensor:
    """Draw (E, D) features, centred within contexts: what they share cancels in the softmax."""
    rows = context.shape[0]
    features = torch.as_tensor(rng.normal(size=(rows, int(rng.integers(1, rows + 2)))))
    count = torch.bincount(context).to(torch.float64)
    mean = torch.zeros(len(count), features.shape[1], dtype=torch.float64)
    return features - (mean.index_add(0, context, features) / count[:, None])[context]


def random_rewards(rng: np.random.Generator, rows: int) -> np.ndarray:
    """Draw one reward column (rows,)."""
    kind = rng.choice(["normal", "ties", "binary", "constant"], p=[0.4, 0.25, 0.25, 0.1])
    draws: dict[str, Callable[[], np.ndarray]] = {
        "normal": lambda: rng.normal(size=rows),
        "ties": lambda: rng.integers(0, 3, size=rows).astype(float),
        "binary": lambda: (rng.random(rows) < rng.uniform(0.1, 0.9)).astype(float),
        "constant": lambda: np.full(rows, rng.normal()),
    }
    return np.asarray(draws[str(kind)](), dtype=float)
