"""One batch for every rung: enumerated with true probabilities, or sampled."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from covlaw.theory._numerics.arrays import as_float64
from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory._numerics.prompts import by_prompt
from covlaw.theory._numerics.validation import as_mass, as_prompt_mass, check_names, require_pairs


@dataclass(frozen=True, eq=False)
class Rollouts:
    """Completions of some prompts with their rewards.

    Tensors, arrays or lists are accepted; all are kept on the device of `prompt`.

    Args:
        prompt: (N,) id of each completion's prompt, in any order: integers, or labels of any kind
            (`covlaw.theory._numerics.prompts`), which are kept as the integers that number them.
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
        groups = by_prompt(self.prompt)
        prompt = groups.spread(groups.prompts)
        rewards = _as_rewards(self.rewards, prompt, names)
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
