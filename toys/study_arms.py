"""The arms of a study: each policy's scalarizer, signal and clip, driven side by side."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from covlaw.theory.clipping import Clip
from covlaw.theory.errors import CovlawError
from covlaw.theory.scalarizers import Batch, Observation, Scalarizer, Signal
from covlaw.toys.study_ensemble import Ensemble
from covlaw.toys.study_signals import SIGNALS

CLIPS: dict[str, Clip] = {"on": (0.2, 0.2, None), "off": (1.0, float("inf"), None)}
"""PPO's clip, and none."""


class Arm(NamedTuple):
    """How one policy is trained."""

    scalarizer: Scalarizer[Any]
    signal: str
    """Name in `study_signals.SIGNALS`."""
    clip: str
    """Name in `CLIPS`."""


class Arms:
    """The arms of R policies with their states; an arm that fails keeps its reason and idles."""

    def __init__(self, arms: Sequence[Arm], objectives: int) -> None:
        self.arms = tuple(arms)
        self.scalarizers = [arm.scalarizer for arm in arms]
        self.states: list[Any] = [s.init() for s in self.scalarizers]
        self.errors = [""] * len(arms)
        self.weights = torch.full((len(arms), objectives), torch.nan, dtype=torch.float64)
        self.clips = _positions([arm.clip for arm in arms])
        self._signals = _positions([arm.signal for arm in arms])

    def advantages(
        self, ensemble: Ensemble, mass: Tensor, batches: Sequence[Batch]
    ) -> tuple[Tensor, list[int]]:
        """Ask every arm for its signal, and normalise what is not an advantage yet.

        Returns:
            (R, N, T), 0 off the tokens, and the arms whose advantages differ by token.
        """
        idle = torch.zeros_like(mass[0])
        scores, weights = [idle] * len(mass), list(self.weights.unbind())
        given: dict[int, Tensor] = {}
        for r, signal in self._signal(batches):
            scores[r] = signal.score
            if signal.weights is not None:
                weights[r] = signal.weights
            if signal.advantage is not None:
                given[r] = signal.advantage
        score, self.weights = torch.stack(scores), torch.stack(weights)
        for name, rows in self._signals.items():
            score[rows] = SIGNALS[name](ensemble, score[rows], mass[rows])
        advantage = score[..., None] * ensemble.mask
        for r, own in given.items():
            advantage[r] = (own[:, None] if own.ndim == 1 else own) * ensemble.mask
        return advantage, [r for r, own in given.items() if own.ndim == 2]

    def by_clip(self, function: Callable[[Tensor, Clip], Tensor], like: Tensor) -> Tensor:
        """Apply f(rows, clip) to the arms of each clip: (R, ...) like `like`."""
        out = torch.zeros_like(like)
        for name, rows in self.clips.items():
            out = out.index_copy(0, rows, function(rows, CLIPS[name]))
        return out

    def observe(self, seen: Sequence[Observation]) -> None:
        """Let every arm adapt."""
        for r, observation in enumerate(seen):
            if not self.errors[r]:
                try:
                    self.states[r] = self.scalarizers[r].update(self.states[r], observation)
                except CovlawError as error:  # stops the arm instead of the study
                    self.fail(r, str(error))

    def fail(self, r: int, reason: str) -> None:
        """Stop an arm; its first reason stays."""
        self.errors[r] = self.errors[r] or reason

    def _signal(self, batches: Sequence[Batch]) -> Iterator[tuple[int, Signal]]:
        for r, batch in enumerate(batches):
            if not self.errors[r]:
                try:
                    self.states[r], signal = self.scalarizers[r].signal(self.states[r], batch)
                except CovlawError as error:
                    self.fail(r, str(error))
                else:
                    yield r, signal


def _positions(names: Sequence[str]) -> dict[str, Tensor]:
    """Name → the indices at which it stands."""
    return {
        name: torch.tensor([i for i, other in enumerate(names) if other == name])
        for name in dict.fromkeys(names)
    }
