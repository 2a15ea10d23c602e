"""CTWA's gate, and the statistic that its public code computes."""

from collections.abc import Sequence

import torch
from torch import Tensor

from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory._numerics.prompts import by_prompt
from covlaw.theory.scalarizers._options import per_objective
from covlaw.theory.scalarizers.protocol import Batch

PUBLISHED, OFF = "published", "off"
CAPS = {"accuracy": 1.0, "conciseness": 0.95, "clarity": 0.95}
"""Mean rewards from which the public configuration raises an objective's weight no more."""
OUTLIER = 100.0
"""The public code drops completions whose |w| is more than so many times the median."""


def gate_levels(gate: str | float | Sequence[float], objectives: Sequence[str]) -> Tensor:
    """Mean reward from which each objective gains no more weight: (M,), inf where there is none.

    Args:
        gate: "published" (by name; other objectives have no published cap), "off", one number or
            one an objective.
        objectives: M names.

    Raises:
        CovlawError: on another word, the wrong number of values, or one that is not finite.
    """
    if gate == PUBLISHED:
        caps = [CAPS.get(name, torch.inf) for name in objectives]
        return torch.tensor(caps, dtype=torch.float64)
    if gate == OFF:
        return torch.full((len(objectives),), torch.inf, dtype=torch.float64)
    if isinstance(gate, str):
        raise CovlawError(f"gate is {gate!r}: use published, off, or one mean reward an objective")
    return per_objective(gate, objectives, "gate", 0.0, -torch.inf)


def mean_rewards(batch: Batch) -> Tensor:
    """Mean reward of each objective over a batch: (M,), or (R, M) of R runs."""
    return (_row_share(batch)[..., None] * batch.rewards.to(torch.float64)).sum(-2)


def reference_statistic(batch: Batch, score: Tensor) -> Tensor:
    """Cov_x(r_j, w) as the public code has it: (M,), or (R, M) of R runs.

    w = (s − mean)/std over the batch; completions with |w| > 100·median|w| are dropped; then
    E_x[r w] − E_x[r] E_x[w] with 1/K over what is left of each prompt, averaged over prompts of
    which something is. The public code takes w after the step, where it is the advantage times a
    ratio; on the policy that drew the batch the ratio is 1.

    Args:
        batch: Rewards and, of an enumerated policy, masses.
        score: (N,) or (R, N) s.
    """
    share = _row_share(batch)
    centred = score - (share * score).sum(-1, keepdim=True)
    spread = (share * centred.square()).sum(-1, keepdim=True).sqrt()
    weight = torch.where(spread > 0, centred / torch.where(spread > 0, spread, 1.0), 0.0)
    kept = share * (weight.abs() <= OUTLIER * _median(weight.abs(), share))
    ids = torch.unique(batch.prompt, return_inverse=True)[1]
    member = (ids == torch.arange(int(ids.max()) + 1, device=ids.device)[:, None]).to(torch.float64)
    left = kept @ member.T  # (..., P)
    some = left > 0
    size = torch.where(some, left, 1.0)
    rewards = batch.rewards.to(torch.float64)

    def mean(values: Tensor) -> Tensor:
        """Of each prompt: (..., P, M)."""
        found: Tensor = (member @ (kept[..., None] * values)) / size[..., None]
        return found

    given = weight[..., None]
    each = mean(rewards * given) - mean(rewards) * mean(given)
    outer = torch.where(some, share @ member.T, 0.0)
    return (outer[..., None] * each).sum(-2) / outer.sum(-1, keepdim=True)


def _row_share(batch: Batch) -> Tensor:
    """Weight of each completion in E_x E_π, (N,) or (R, N): of samples, each the same."""
    rows = batch.prompt.shape[0]
    if batch.mass is None and batch.prompt_mass is None:
        return torch.full((rows,), 1 / rows, dtype=torch.float64, device=batch.rewards.device)
    groups = by_prompt(batch.prompt)
    count = groups.prompts.shape[0]
    outer = (
        torch.full((count,), 1 / count, dtype=torch.float64)
        if batch.prompt_mass is None
        else batch.prompt_mass
    )
    given = None if batch.mass is None else batch.mass
    if given is None or given.ndim == 1:
        return groups.share(given) * groups.spread(outer)
    return torch.stack([groups.share(mass) for mass in given]) * groups.spread(outer)


def _median(values: Tensor, share: Tensor) -> Tensor:
    """Lower median of values (..., N) under their shares: (..., 1)."""
    rising, order = values.sort(-1)
    below = share.expand_as(values).gather(-1, order).cumsum(-1)
    half = below[..., -1:] / 2
    place = (below < half * (1 - 2.0**-40)).sum(-1, keepdim=True)
    found: Tensor = rising.gather(-1, place.clamp(max=values.shape[-1] - 1))
    return found
