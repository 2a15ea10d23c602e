"""What TRL's guard asks of each step: floors that stay, or such as ask back what was lost."""

from typing import Any

import torch
from torch import Tensor

from covlaw.plugins.trl.drawing import Drawn
from covlaw.theory._numerics.arrays import as_float64
from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory.guard.correction import floors_of
from covlaw.theory.guard.floors import RestoringFloors, RestoringState

KEPT = "covlaw.Guard"
"""Under which they stand among the states of callbacks in trainer_state.json."""


class Floors:
    """Floors of a run, and what they remember.

    Args:
        given: "restoring", `RestoringFloors`, a number or one a reward.
        count: M.

    Raises:
        CovlawError: for another word, and another number of rewards.
    """

    def __init__(self, given: Any, count: int) -> None:
        if isinstance(given, str) and given != "restoring":
            raise CovlawError(f"floor={given!r}: use 'restoring', a number, or one a reward")
        rule = RestoringFloors(count) if isinstance(given, str) else given
        self.rule = rule if isinstance(rule, RestoringFloors) else None
        self.fixed = torch.zeros(count, dtype=torch.float64)
        if self.rule is None:
            self.fixed = floors_of(given, self.fixed)
        elif self.rule.objectives != count:
            raise CovlawError(f"floors of {self.rule.objectives} objectives for {count} rewards")
        self.state = self.rule.init() if self.rule else None

    def seen(self, drawn: Drawn) -> None:
        """Take in what completions of the policy got; None is no opinion."""
        if self.rule and self.state:
            self.state = self.rule.update(self.state, drawn.rewards.nanmean(0))

    def asked(self, drawn: Drawn) -> Tensor:
        """(M,) of the next step's effects, which are those of the completions with an opinion."""
        if not (self.rule and self.state):
            return self.fixed
        return self.rule.floor(self.state, (~drawn.rewards.isnan()).double().mean(0))

    def keep(self, states: dict[str, Any]) -> None:
        """Put what they remember among the states that the next checkpoint holds."""
        if self.state:
            attributes = {name: value.tolist() for name, value in self.state._asdict().items()}
            states[KEPT] = {"args": {}, "attributes": attributes}

    def resume(self, states: dict[str, Any]) -> bool:
        """Take up what a checkpoint holds; whether it holds any.

        Raises:
            CovlawError: where it is that of another number of rewards.
        """
        found = states.get(KEPT)
        if found is None or self.state is None:
            return False
        values = [as_float64(found["attributes"][name], name) for name in RestoringState._fields]
        if any(value.shape != self.fixed.shape for value in values):
            raise CovlawError(
                f"the checkpoint's guard has floors of {len(values[0])} rewards, this run has "
                f"{len(self.fixed)}: resume with the same rewards"
            )
        self.state = RestoringState(*values)
        return True
