"""One batch for every rung: enumerated with true probabilities, or sampled."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from covlaw.theory._numerics.arrays import as_float64
from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory._numerics.prompts import by_prompt
from covlaw.theory._numerics.validation import as_mass, as_prompt_mass, check_names, require_pairs
from covlaw.theory._numerics.weighting import Grouping


@dataclass(frozen=True, eq=False)
class Rollouts:
    """Completions of some prompts with their rewards: the one type for them, on every rung.

    Worlds give it enumerated, audits and logs sampled; with tokens it is an LLM's
    `SampledRollouts`. Two relatives are no rollouts: a scalarizer's `Batch` holds what it asked for
    and may stack runs, a `TrainingBatch` what a loss reads, which is no reward.

    Tensors, arrays or lists are accepted; all are kept on the device of `prompt`.

    Args:
        prompt: (N,) id of each completion's prompt, in any order: integers, or labels of any kind
            (`covlaw.theory._numerics.prompts`), which are kept as the integers that number them.
        rewards: (N, M) one column an objective; stored as float64.
        names: M distinct printable objective names.
        mass: (N,) probability of each completion under the sampling policy within its prompt
            when *all* completions are listed; None when they are i.i.d. samples.
        prompt_mass: (P,) probability of each prompt, in ascending order of id; None: uniform.
        advantage: (N,), or (N, T) where it differs from token to token, as a loss weights them;
            None where nothing was trained on them.

    Raises:
        CovlawError: naming the objective, row or prompt at fault and the remedy.
    """

    prompt: Tensor
    rewards: Tensor
    names: Sequence[str]
    mass: Tensor | None = None
    prompt_mass: Tensor | None = None
    advantage: Tensor | None = None

    needs_pairs: ClassVar[bool] = True
    """Whether samples are refused that have no covariance."""

    def __post_init__(self) -> None:
        names = check_names(self.names)
        groups = by_prompt(self.prompt)
        prompt = groups.spread(groups.prompts)
        rewards = _as_rewards(self.rewards, prompt, names)
        mass = as_mass(self.mass, groups)
        prompt_mass = as_prompt_mass(self.prompt_mass, groups)
        if mass is None and self.needs_pairs:
            require_pairs(groups)
        values = (prompt, rewards, names, mass, prompt_mass, _as_advantage(self.advantage, prompt))
        fields = ("prompt", "rewards", "names", "mass", "prompt_mass", "advantage")
        for field, value in zip(fields, values, strict=True):
            object.__setattr__(self, field, value)

    @property
    def exact(self) -> bool:
        """Whether the completions carry their true probabilities."""
        return self.mass is not None

    @property
    def groups(self) -> Grouping:
        """`(prompt, mass, prompt_mass)`: the last arguments of every estimator."""
        return Grouping(self.prompt, self.mass, self.prompt_mass)

    def trained_advantage(self) -> Tensor:
        """`advantage`, where it is known to be there.

        Raises:
            CovlawError: where it is not.
        """
        if self.advantage is None:
            raise CovlawError("these rollouts have no advantage: pass advantage, (N,) or (N, T)")
        return self.advantage


def _as_advantage(advantage: Tensor | None, prompt: Tensor) -> Tensor | None:
    if advantage is None:
        return None
    advantage = as_float64(advantage, "advantage", prompt.device)
    if advantage.ndim not in {1, 2} or advantage.shape[0] != prompt.shape[0]:
        raise CovlawError(
            f"advantage has shape {tuple(advantage.shape)} for {prompt.shape[0]} completions: give "
            "(N,), one a completion, or (N, T), one a token"
        )
    return advantage


def _as_rewards(rewards: Tensor, prompt: Tensor, names: tuple[str, ...]) -> Tensor:
    rewards = as_float64(rewards, "rewards", prompt.device)
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
        value = rewards[row, column].item()
        raise CovlawError(
            f"reward {names[column]!r} is {value} at row {row} (prompt {int(prompt[row])}): "
            f"mend the reward function or drop the completion ({int(bad.sum())} such entries)"
        )
    return rewards
