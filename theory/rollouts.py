"""One batch for every rung: enumerated with true probabilities, or sampled."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from covlaw.theory.errors import CovlawError
from covlaw.theory.groups import Groups, group_by_prompt

MASS_TOLERANCE = 1e-6
"""Largest accepted |Σ mass − 1|: float32 softmax over 10⁴ completions errs by 1e-7 to 1e-6."""


@dataclass(frozen=True, eq=False)
class Rollouts:
    """Completions of some prompts with their rewards.

    Args:
        prompt: (N,) integer prompt id of each completion, in any order.
        rewards: (N, M) one column an objective; stored as float64.
        names: M distinct printable objective names.
        mass: (N,) probability of each completion under the sampling policy within its prompt
            when *all* completions are listed; None when they are i.i.d. samples.
        prompt_mass: (P,) probability of each prompt, in ascending order of id; None: uniform.

    Raises:
        CovlawError: naming the objective, row or prompt at fault and the remedy.
    """

    prompt: Tensor
    rewards: Tensor
    names: Sequence[str]
    mass: Tensor | None = None
    prompt_mass: Tensor | None = None

    def __post_init__(self) -> None:
        names = check_names(self.names)
        prompt = as_prompt_ids(self.prompt)
        rewards = _as_rewards(self.rewards, prompt, names)
        groups = group_by_prompt(prompt)
        mass = as_mass(self.mass, groups)
        prompt_mass = as_prompt_mass(self.prompt_mass, groups)
        if mass is None:
            require_pairs(groups)
        values = (prompt, rewards, names, mass, prompt_mass)
        for field, value in zip(
            ("prompt", "rewards", "names", "mass", "prompt_mass"), values, strict=True
        ):
            object.__setattr__(self, field, value)

    @property
    def exact(self) -> bool:
        """Whether the completions carry their true probabilities."""
        return self.mass is not None

    @property
    def groups(self) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """`(prompt, mass, prompt_mass)`: the last arguments of every estimator."""
        return self.prompt, self.mass, self.prompt_mass


def check_names(names: Sequence[str]) -> tuple[str, ...]:
    """Return the objective names as a tuple, or say which is not acceptable."""
    if isinstance(names, str):
        raise CovlawError(f"objective names: got the single string {names!r}; pass a list of names")
    names = tuple(names)
    if not names:
        raise CovlawError("no objective names: give one name a reward column")
    for name in names:
        if not isinstance(name, str) or not name.strip() or not name.isprintable():
            raise CovlawError(f"objective name {name!r}: use non-empty printable text")
    duplicates = sorted({name for name in names if names.count(name) > 1})
    if duplicates:
        raise CovlawError(f"objective names {duplicates} occur twice: make them distinct")
    return names


def as_prompt_ids(prompt: Tensor) -> Tensor:
    """Return prompt ids as an int64 vector; refuse floats and strings, which merge or split ids."""
    try:
        prompt = torch.as_tensor(prompt)
    except (TypeError, ValueError, RuntimeError) as error:
        raise CovlawError(f"prompt ids must be integers, one a completion ({error})") from error
    if prompt.is_floating_point() or prompt.is_complex() or prompt.dtype == torch.bool:
        raise CovlawError(f"prompt ids are {prompt.dtype}: number the prompts with integers")
    if prompt.ndim != 1 or prompt.shape[0] == 0:
        raise CovlawError(f"prompt ids have shape {tuple(prompt.shape)}: give a vector (N,), N ≥ 1")
    return prompt.to(torch.int64)


def as_mass(mass: Tensor | None, groups: Groups) -> Tensor | None:
    """Validate completion probabilities (N,); they must sum to 1 within each prompt."""
    if mass is None:
        return None
    mass = torch.as_tensor(mass, dtype=torch.float64)
    if mass.shape != groups.position.shape:
        raise CovlawError(
            f"mass has shape {tuple(mass.shape)}, not {tuple(groups.position.shape)}: "
            "give one probability a completion"
        )
    bad = ~torch.isfinite(mass) | (mass < 0)
    if bad.any():
        row = int(bad.nonzero()[0])
        raise CovlawError(f"mass at row {row} is {float(mass[row])}: probabilities are in [0, 1]")
    total = groups.sum(mass)
    worst = int((total - 1).abs().argmax())
    if abs(float(total[worst]) - 1) > MASS_TOLERANCE:
        raise CovlawError(
            f"mass of prompt {int(groups.prompts[worst])} sums to {float(total[worst]):.9g}, "
            "not 1: list every completion, the length-truncated ones too, or pass mass=None"
        )
    return mass


def as_prompt_mass(prompt_mass: Tensor | None, groups: Groups) -> Tensor | None:
    """Validate prompt probabilities (P,), in ascending order of prompt id."""
    if prompt_mass is None:
        return None
    prompt_mass = torch.as_tensor(prompt_mass, dtype=torch.float64)
    if prompt_mass.shape != groups.prompts.shape:
        raise CovlawError(
            f"prompt_mass has shape {tuple(prompt_mass.shape)} for "
            f"{groups.prompts.shape[0]} prompts: give one probability each, by ascending id"
        )
    total = float(prompt_mass.sum())
    if not bool((prompt_mass >= 0).all()) or not abs(total - 1) <= MASS_TOLERANCE:
        raise CovlawError(
            f"prompt_mass must be ≥ 0 and sum to 1 (sum {total:.9g}): normalise the prompt weights"
        )
    return prompt_mass


def require_pairs(groups: Groups) -> None:
    """Refuse sampled prompts with a single completion: they have no covariance."""
    lonely = groups.prompts[groups.counts < 2]
    if lonely.numel():
        raise CovlawError(
            f"prompt {int(lonely[0])} has a single completion ({lonely.numel()} such prompts): "
            "sample at least 2 completions a prompt, or drop these prompts"
        )


def _as_rewards(rewards: Tensor, prompt: Tensor, names: tuple[str, ...]) -> Tensor:
    rewards = torch.as_tensor(rewards).to(torch.float64)
    if rewards.ndim != 2 or rewards.shape[0] != prompt.shape[0]:
        raise CovlawError(
            f"rewards have shape {tuple(rewards.shape)} for {prompt.shape[0]} completions: "
            "give (N, M), a row a completion and a column an objective"
        )
    if rewards.shape[1] != len(names):
        raise CovlawError(
            f"{len(names)} objective names {list(names)} for {rewards.shape[1]} reward columns: "
            "give one name a column"
        )
    bad = ~torch.isfinite(rewards)
    if bad.any():
        row, column = (int(i) for i in bad.nonzero()[0])
        value = float(rewards[row, column])
        raise CovlawError(
            f"reward {names[column]!r} is {value} at row {row} (prompt {int(prompt[row])}): "
            f"mend the reward function or drop the completion ({int(bad.sum())} such entries)"
        )
    return rewards
