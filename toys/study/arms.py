"""The arms of a study: each policy's scalarizer, signal and clip, driven side by side."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor

from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory.losses.clipping import Clip
from covlaw.theory.scalarizers import Scalarizer
from covlaw.toys.study.ensemble import PolicyEnsemble, Rows
from covlaw.toys.study.groups import Group, grouped
from covlaw.toys.study.signals import SIGNALS
from covlaw.toys.study.supply import Aftermath, Supply

CLIPS: dict[str, Clip] = {"on": (0.2, 0.2, None), "off": (1.0, float("inf"), None)}
"""PPO's clip, and none."""

Answer = TypeVar("Answer")


class Arm(NamedTuple):
    """How one policy is trained."""

    scalarizer: Scalarizer[Any]
    """Arms may share one: its state is kept apart."""
    signal: str
    """Name in `study_signals.SIGNALS`."""
    clip: str
    """Name in `CLIPS`."""
    guard: str = "none"
    """Name in `guards.GUARDS`."""
    samples: int = 0
    """Completions of each prompt that the guard draws for its gradients; 0: they are exact."""
    seed: int = 0
    """Of those completions."""


class Arms:
    """The arms of R policies with their states; an arm that fails keeps its reason and idles."""

    def __init__(self, arms: Sequence[Arm], objectives: int) -> None:
        self.errors = [""] * len(arms)
        self.weights = torch.full((len(arms), objectives), torch.nan, dtype=torch.float64)
        self._groups = grouped([arm.scalarizer for arm in arms])
        self._clips = _positions([arm.clip for arm in arms])
        self._signals = _positions([arm.signal for arm in arms])

    @property
    def curious(self) -> Tensor:
        """The arms that ask for a Gramian."""
        asking = [g.members for g in self._groups if "gramian" in g.scalarizer.before]
        return torch.tensor([member for members in asking for member in members], dtype=torch.int64)

    def advantages(self, ensemble: PolicyEnsemble, supply: Supply) -> tuple[Tensor, list[int]]:
        """Ask every arm for its signal, and normalise what is not an advantage yet.

        Returns:
            (R, N, T), 0 off the tokens, and the arms whose advantages differ by token.
        """
        mass, tokenwise = supply.now.mass, list[int]()
        score, given = torch.zeros_like(mass), list[tuple[Group, Tensor]]()
        for group, signal in self._ask(lambda group: group.signal(supply)):
            score[group.rows] = signal.score
            if signal.weights is not None:
                self.weights[group.rows] = signal.weights
            if signal.advantage is not None:
                given.append((group, signal.advantage))
        for name, rows in self._signals.items():
            score[rows] = SIGNALS[name](ensemble, score[rows], mass[rows])
        advantage = ensemble.on_tokens(score[..., None])
        for group, own in given:
            by_token = own.ndim > score[group.rows].ndim
            advantage[group.rows] = ensemble.on_tokens(own if by_token else own[..., None])
            tokenwise += group.members if by_token else ()
        return advantage, tokenwise

    def by_clip(self, function: Callable[[Rows, Clip], Tensor], like: Tensor) -> Tensor:
        """Apply f(rows, clip) to the arms of each clip: (R, ...) like `like`."""
        if len(self._clips) == 1:
            ((name, rows),) = self._clips.items()
            return function(rows, CLIPS[name])
        out = torch.zeros_like(like)
        for name, rows in self._clips.items():
            out[rows] = function(rows, CLIPS[name])
        return out

    def observe(self, after: Aftermath) -> None:
        """Let every arm that asked to see something adapt."""
        for _ in self._ask(lambda group: group.update(after), lambda g: bool(g.scalarizer.after)):
            pass

    def fail(self, leaving: Iterable[int], reason: str) -> None:
        """Stop arms; their first reason stays."""
        gone = list(leaving)
        for r in gone:
            self.errors[r] = self.errors[r] or reason
        parts = (group.without(gone) for group in self._groups)
        self._groups = [group for group in parts if group is not None]

    def _ask(
        self, call: Callable[[Group], Answer], asked: Callable[[Group], bool] = lambda group: True
    ) -> Iterator[tuple[Group, Answer]]:
        """Each group's answer; one that refuses is taken apart, so that only who refuses stops."""
        waiting = [group for group in self._groups if asked(group)][::-1]
        while waiting:
            group = waiting.pop()
            try:
                answer = call(group)
            except CovlawError as error:  # stops an arm instead of the study
                if len(group.members) == 1:
                    self.fail(group.members, str(error))
                else:
                    parts = list(group.apart())
                    self._groups = [g for g in self._groups if g is not group] + parts
                    waiting += parts
            else:
                yield group, answer


def _positions(names: Sequence[str]) -> dict[str, Rows]:
    """Name → the indices at which it stands."""
    found = dict.fromkeys(names)
    if len(found) == 1:
        return {names[0]: slice(None)}
    places = {name: [i for i, other in enumerate(names) if other == name] for name in found}
    return {name: torch.tensor(rows) for name, rows in places.items()}
