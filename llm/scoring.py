"""Rewards of completions: every objective's column, checked before anything uses it."""

from collections.abc import Sequence

import torch
from torch import Tensor

from covlaw.llm.engine import Completions
from covlaw.llm.rewards import RewardState, load_reward
from covlaw.llm.tasks import Problem
from covlaw.theory.errors import CovlawError


class Rewards:
    """The named reward functions of a run.

    Args:
        names: Registry names or "module:function"; they are the objectives' names.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)
        self.functions = [load_reward(name) for name in names]

    def __call__(
        self, completions: Completions, problems: Sequence[Problem], state: RewardState
    ) -> Tensor:
        """Score completions of `problems` (one a prompt): (N, M) float64.

        Raises:
            CovlawError: naming the reward and the completion if a function fails, or returns NaN
                or the wrong number of values.
        """
        references = [problems[i].reference for i in completions.prompt.tolist()]
        lengths = completions.lengths.to("cpu")
        columns = []
        for name, function in zip(self.names, self.functions, strict=True):
            try:
                column = torch.as_tensor(
                    function(completions.text, references, lengths, state), dtype=torch.float64
                )
            except Exception as error:
                raise CovlawError(
                    f"reward {name!r} failed: {type(error).__name__}: {error}"
                ) from error
            columns.append(_check(name, column, completions.text))
        return torch.stack(columns, 1)


def _check(name: str, column: Tensor, text: Sequence[str]) -> Tensor:
    if column.shape != (len(text),):
        raise CovlawError(
            f"reward {name!r} returned shape {tuple(column.shape)} for {len(text)} completions"
        )
    bad = ~torch.isfinite(column)
    if bad.any():
        row = int(bad.nonzero()[0])
        raise CovlawError(f"reward {name!r} is {float(column[row])} on completion {text[row]!r}")
    return column
