"""What a score has beside the rewards, and which completions keep their advantage."""

import torch
from torch import Tensor

from covlaw.llm.config.filter_checks import OFF, SCORE
from covlaw.llm.config.train_config import TrainConfig
from covlaw.llm.loop.group_shares import truncated
from covlaw.llm.sampling.rollout import SampledRollouts
from covlaw.theory._numerics.groups import group_by_prompt


def overlong_penalty(lengths: Tensor, longest: int, buffer: int) -> Tensor:
    """Soft overlong punishment of completions of these lengths: (N,) in [−1, 0].

    0 up to `longest` − `buffer` tokens, then falling by 1/`buffer` a token to −1 at `longest`.
    Yu et al. 2025 (DAPO), arXiv:2503.14476, eq. 13.
    """
    return -((lengths.double() - (longest - buffer)) / buffer).clamp(0.0, 1.0)


def kept_rows(drawn: SampledRollouts, config: TrainConfig, ends: tuple[int, ...]) -> Tensor | None:
    """Which completions keep their advantage under the run's filters, (N,) bool; None: all.

    `overlong = "drop"` takes it from truncated ones, `dynamic_sampling` on a reward from groups in
    which that reward is constant. A filter on the score takes none: there it is 0 already.
    """
    kept = None
    if config.overlong == "drop":
        kept = ~truncated(drawn.completions, ends).to(drawn.prompt.device)
    if config.dynamic_sampling not in (OFF, SCORE):
        groups = group_by_prompt(drawn.prompt)
        watched = drawn.rewards[:, config.objectives.index(config.dynamic_sampling)]
        live = groups.spread(groups.span(watched) > 0)
        kept = live if kept is None else kept & live
    return kept


def as_sampled(advantage: Tensor, drawn: SampledRollouts, config: TrainConfig) -> Tensor:
    """Rescale the advantage of fresh groups to those that dynamic sampling leaves (T53).

    A training batch is full of groups with a signal; among fresh ones the share that has any is
    P(kept), and every expectation of the batch is that of fresh groups over P(kept). Exact where
    the groups are as large as the batch's.
    """
    if config.dynamic_sampling == OFF:
        return advantage
    groups = group_by_prompt(drawn.prompt)
    size = advantage.abs() if advantage.ndim == 1 else advantage.abs().sum(1)
    share = (groups.sum(size.to(drawn.prompt.device)) > 0).double().mean()
    return advantage / share if share > 0 else advantage


def masked(advantage: Tensor, kept: Tensor | None) -> Tensor:
    """Set the advantage, (N,) or (N, T), of all other rows to 0."""
    if kept is None:
        return advantage
    rows = kept.to(advantage.device)
    zero = torch.zeros((), dtype=advantage.dtype, device=advantage.device)
    return torch.where(rows if advantage.ndim == 1 else rows[:, None], advantage, zero)
