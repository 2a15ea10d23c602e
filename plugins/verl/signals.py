"""A scalarizer at work on verl's batches: what each completion is worth, and what it learns."""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from covlaw.plugins._shared.learning import RATIOS, is_weighted
from covlaw.plugins.verl.rows import Rows
from covlaw.plugins.verl.settings import WHERE, Settings
from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory.estimators.covariance import exact_change
from covlaw.theory.scalarizers import Batch, Observation, Scalarizer, Signal
from covlaw.theory.scalarizers.reward_losses import shortfall

BY_TOKEN = frozenset({"mask", "log_ratio_to_reference"})


class Worth(NamedTuple):
    """What the completions of a batch are worth to the step."""

    score: Tensor | None
    """(S,), for verl's estimator to make an advantage of; None: the advantage is given."""
    advantage: Tensor | None
    """(S,) or (S, T), with which verl's estimator is left out."""
    weights: Tensor | None
    """(M,) of the rewards, where the score is their weighted sum."""


class Signals:
    """Makes each batch's training signal, and shows the scalarizer what came of it.

    Args:
        settings: Of the run.
        scalarizer: That they name.
    """

    def __init__(self, settings: Settings, scalarizer: Scalarizer[Any]) -> None:
        assert settings.scalarizer is not None  # noqa: S101
        self.name, self.names = settings.scalarizer, settings.rewards
        self.scalarizer = scalarizer
        self.state = scalarizer.init()
        self.bounds = dict.fromkeys(self.names, (0.0, 1.0)) | {
            name: (float(low), float(high)) for name, (low, high) in settings.reward_range.items()
        }

    @property
    def by_token(self) -> bool:
        """Whether it reads tokens, and so makes an advantage a token."""
        return bool(BY_TOKEN & self.scalarizer.before)

    @property
    def learns(self) -> bool:
        """Whether it learns from what a step changed."""
        return bool(RATIOS & self.scalarizer.after)

    def worth(
        self, rows: Rows, mask: Tensor | None = None, log_ratio: Tensor | None = None
    ) -> Worth:
        """Take a batch's rewards. Completions that observe get what the others' signal gives them.

        Args:
            rows: Of the batch.
            mask: (S, T), for scalarizers that read tokens.
            log_ratio: (S, T) log π/π_ref, likewise.
        """
        filled, made = rows.filled, list[Signal]()
        for part in (~rows.observes, rows.observes):
            batch = Batch(
                filled[part],
                rows.prompt[part],
                mask=None if mask is None else mask[part],
                log_ratio_to_reference=None if log_ratio is None else log_ratio[part],
            )
            if not made:
                self.state, signal = self.scalarizer.signal(self.state, batch)
                weighted = is_weighted(signal, batch.rewards)
            elif weighted and signal.weights is not None:
                signal = signal._replace(score=batch.rewards @ signal.weights)
            elif len(batch.rewards):
                signal = self.scalarizer.signal(self.state, batch)[1]
            made.append(signal)
        if made[0].advantage is None:
            score = _joined([s.score for s in made], rows.observes)
            return Worth(score, None, signal.weights if weighted else None)
        given = [s.score if s.advantage is None else s.advantage for s in made]
        advantage = _joined(given, rows.observes)
        silent = torch.isnan(rows.rewards).all(1)
        silent = silent.view(-1, *[1] * (advantage.ndim - 1))
        return Worth(None, torch.where(silent, 0.0, advantage), None)

    def learn(self, rows: Rows, log_ratio: Tensor | None) -> None:
        """Show the scalarizer a step.

        Args:
            rows: Of the batch that made it.
            log_ratio: (S,) log π_new/π_old, where the scalarizer learns from changes.
        """
        part = ~rows.observes if log_ratio is None else rows.observes
        if not self.scalarizer.after or not part.any():
            return
        rewards = rows.filled[part]
        seen = Observation(values=rewards.mean(0))
        if log_ratio is not None:
            prompt, change = rows.prompt[part], log_ratio[part]
            covariance = exact_change(rewards, change, prompt).estimate
            seen = seen._replace(covariance=covariance)
            if "losses" in self.scalarizer.after:
                remedy = f"give {WHERE}.reward_range={{reward: [worst, best]}}"
                losses = shortfall(rewards, change.exp(), prompt, self.bounds, remedy)
                seen = seen._replace(losses=losses)
        self.state = self.scalarizer.update(self.state, seen)


def _joined(parts: list[Tensor], observes: Tensor) -> Tensor:
    """Values of those that train and of those that observe, in the order of the completions."""
    found = parts[0].new_zeros(len(observes), *parts[0].shape[1:])
    found[~observes] = parts[0]
    if bool(observes.any()):
        found[observes] = parts[1]
    return found


def require_alone(name: str, worth: Worth, config: Any) -> None:
    """Refuse settings of verl that an advantage from a scalarizer would override.

    Raises:
        CovlawError: naming the setting.
    """
    algorithm = config.algorithm
    made = worth.score is not None or worth.advantage is not None
    if algorithm.adv_estimator == "gdpo" and made and worth.weights is None:
        raise CovlawError(
            f"scalarizer {name!r} makes no weighted sum of the rewards, which adv_estimator=gdpo "
            "adds up after normalising: set algorithm.adv_estimator=grpo"
        )
    if worth.advantage is None and algorithm.adv_estimator != "gdpo":
        return
    if algorithm.use_kl_in_reward:
        raise CovlawError(
            f"{name!r} sets the advantage, which use_kl_in_reward=True is a part of: set it to "
            "False, and actor_rollout_ref.actor.use_kl_loss=True"
        )
    if algorithm.adv_estimator == "gae":
        raise CovlawError(
            f"{name!r} sets the advantage, which adv_estimator=gae takes from a critic: set "
            "algorithm.adv_estimator=grpo"
        )
