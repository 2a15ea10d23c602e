"""RL algorithms by name: each is a choice of advantage and of token aggregation, after its source.

They share the rest (clipped ratio, KL to a reference, epochs), which stays the user's to set.
"""

import logging
from collections.abc import Mapping
from typing import Any, NamedTuple

from covlaw.theory._numerics.errors import unknown

_log = logging.getLogger("covlaw")


class Algorithm(NamedTuple):
    """What a name stands for; each part can be overridden by its own setting."""

    normaliser: str
    """Of `covlaw.theory.estimators.advantages.NORMALISERS`."""
    aggregation: str
    """Of `covlaw.theory.losses.policy_losses.AGGREGATIONS`."""
    source: str


ALGORITHMS: Mapping[str, Algorithm] = {
    "reinforce++": Algorithm(
        "reinforce++", "token_mean", "Hu, Liu, Xu & Shen 2025, arXiv:2501.03262, global whitening"
    ),
    "grpo": Algorithm("grpo", "sequence_mean", "Shao et al. 2024, arXiv:2402.03300, eq. 3"),
    "dr_grpo": Algorithm(
        "dr_grpo", "sequence_sum", "Liu et al. 2025, arXiv:2503.20783, without its constant 1/T"
    ),
    "rloo": Algorithm(
        "rloo", "sequence_sum", "Kool et al. 2019; Ahmadian et al. 2024, arXiv:2402.14740"
    ),
}
"""RLOO's advantage is K/(K−1) times Dr. GRPO's, so at equal K the two differ by a rate (T20)."""

UNNAMED = Algorithm("grpo", "sequence_sum", "this project's default: the law's own aggregation")

FILLED = ("normaliser", "aggregation")
"""Settings that an algorithm fills where they are empty."""


def filled(config: Any) -> dict[str, str]:
    """Values of the settings in `FILLED`: the config's own, or where empty its algorithm's.

    Raises:
        CovlawError: for an unknown algorithm.
    """
    if config.algorithm and config.algorithm not in ALGORITHMS:
        raise unknown("algorithm", config.algorithm, tuple(ALGORITHMS))
    chosen = ALGORITHMS[config.algorithm] if config.algorithm else UNNAMED
    return {name: getattr(config, name) or getattr(chosen, name) for name in FILLED}


def reopened(values: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Settings with what an earlier algorithm filled emptied, where `changes` name another one."""
    emptied = dict.fromkeys(FILLED, "") if "algorithm" in changes else {}
    return {**values, **emptied}


def warn_of_traps(config: Any) -> None:
    """Log what is allowed and does not do what it seems to do."""
    if config.kl_coefficient and config.kl_estimator == "k1":
        _log.warning(
            "kl_estimator is 'k1': in a loss its expected gradient is 0 on policy, so that "
            "kl_coefficient adds noise and no pull; use 'k2', the gradient of KL(policy to "
            "reference), or 'k3', that of KL(reference to policy)"
        )
