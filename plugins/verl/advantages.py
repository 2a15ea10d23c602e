"""An advantage of ours in the place of verl's estimator, for the time of one call."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad
from verl.trainer.ppo import core_algos

from covlaw.plugins.verl.rows import Rows

NAME = "covlaw"
Estimator = Callable[..., tuple[Tensor, Tensor]]


@contextmanager
def estimating(algorithm: Any, estimator: Estimator) -> Iterator[None]:
    """Let verl call this one: by name, as its own are."""
    kept = algorithm.adv_estimator
    core_algos.ADV_ESTIMATOR_REGISTRY[NAME] = estimator
    algorithm.adv_estimator = NAME
    try:
        yield
    finally:
        algorithm.adv_estimator = kept
        del core_algos.ADV_ESTIMATOR_REGISTRY[NAME]


def given(rows: Rows, keys: list[str], advantage: Tensor) -> Estimator:
    """What a scalarizer made of the batch: (S,), or (S, T) token by token."""
    values = rows.spread(advantage)[_places(rows, keys)].float()

    def estimate(response_mask: Tensor, **_: Any) -> tuple[Tensor, Tensor]:
        by_token = values[:, None]
        if values.ndim == 2:
            width = response_mask.shape[1]
            by_token = pad(values[:, :width], (0, max(width - values.shape[1], 0)))
        found = by_token * response_mask
        return found, found

    return estimate


def gdpo(rows: Rows, keys: list[str], names: list[str], weights: list[float] | None) -> Estimator:
    """verl's own GDPO, with the columns that its default trainer does not fetch."""
    filled = rows.spread(rows.filled)[_places(rows, keys)]
    columns = {name: filled[:, j].numpy() for j, name in enumerate(names)}
    config = {"gdpo_reward_keys": names, "gdpo_reward_weights": weights}

    def estimate(
        token_level_rewards: Tensor, response_mask: Tensor, index: Any, **_: Any
    ) -> tuple[Tensor, Tensor]:
        # it puts each reward on one token and adds the tokens up again: any token will do
        whole = {
            "prompts": response_mask[:, :0],
            "attention_mask": torch.ones_like(response_mask),
        }
        found: tuple[Tensor, Tensor] = core_algos.compute_gdpo_outcome_advantage(
            token_level_rewards,
            response_mask,
            index,
            config=config,
            non_tensor_batch=columns,
            batch=whole,
        )
        return found

    return estimate


def _places(rows: Rows, keys: list[str]) -> list[int]:
    place = {key: row for row, key in enumerate(rows.keys)}
    return [place[key] for key in keys]
