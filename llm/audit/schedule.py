"""Which steps are audited: a given number of them, or as many as a run can afford."""

from covlaw.llm.config.train_config import TrainConfig
from covlaw.llm.plan.work import audit_draws, audit_passes, step_draws, step_passes

AUTO = -1
"""`audits` that are chosen by cost."""
SHARE = 0.1
"""Of a run's work, that audits chosen by cost may take."""
MOST = 20
"""Audits chosen by cost: more say little more about one run."""


def audit_steps(steps: int, audits: int) -> frozenset[int]:
    """Spread audits over a run, denser at its start, where most of the change is."""
    if audits == 0:
        return frozenset()
    shares = [(k / max(audits - 1, 1)) ** 2 for k in range(audits)]
    return frozenset(round(share * (steps - 1)) for share in shares)


def audit_count(config: TrainConfig, steps: int) -> int:
    """How many audits a run of `steps` steps gets: as set, or as many as `SHARE` of its work pays.

    Chosen by cost there is at least one, at the first step, which on a short run may cost more.
    """
    if config.audits != AUTO:
        return config.audits
    affordable = SHARE / (1 - SHARE) * steps / relative_cost(config)
    return max(1, min(MOST, int(affordable)))


def relative_cost(config: TrainConfig) -> float:
    """Steps that one audit costs, at most: whichever of sampling and passes is relatively dearer.

    What a sampled token costs beside a pass differs by engine and machine; the true ratio is a
    weighted mean of the two ratios, and so never above the greater one.
    """
    draws = audit_draws(config) / step_draws(config)
    return max(draws, audit_passes(config) / step_passes(config))
