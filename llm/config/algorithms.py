"""RL algorithms by name: each is a choice of advantage and of token aggregation, after its source.

They share the rest (loss, KL to a reference, epochs), which stays the user's to set; a loss fills
the settings of its own source.
"""

import logging
from collections.abc import Mapping
from typing import Any, NamedTuple

from covlaw.theory._numerics.errors import unknown
from covlaw.theory.losses.names import find_loss

_log = logging.getLogger("covlaw")


class Algorithm(NamedTuple):
    """What a name stands for; each part can be overridden by its own setting."""

    normaliser: str
    """Of `covlaw.theory.estimators.advantages.NORMALISERS`."""
    aggregation: str
    """Of `covlaw.theory.losses.aggregation.AGGREGATIONS`."""
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

OWN_RANGE = -1.0
"""Value of `clip_low` and `clip_high` that stands for the loss's own."""

EMPTY: Mapping[str, Mapping[str, Any]] = {
    "algorithm": {"normaliser": "", "aggregation": ""},
    "loss": {"aggregation": "", "clip_low": OWN_RANGE, "clip_high": OWN_RANGE},
}
"""Settings that an algorithm or a loss fills where they are empty, with what empty is."""


def filled(config: Any) -> dict[str, Any]:
    """Values of the settings in `EMPTY`: the config's own, or where empty the loss's.

    An aggregation is the config's, else that of the loss's source, else the algorithm's.

    Raises:
        CovlawError: for an unknown algorithm or loss.
    """
    if config.algorithm and config.algorithm not in ALGORITHMS:
        raise unknown("algorithm", config.algorithm, tuple(ALGORITHMS))
    chosen = ALGORITHMS[config.algorithm] if config.algorithm else UNNAMED
    from covlaw.theory.losses import make_loss  # with torch: listings of presets need none

    published = find_loss(config.loss).published_aggregation
    own = make_loss(config.loss)
    ranges = {
        name: getattr(own if getattr(config, name) == OWN_RANGE else config, name)
        for name in ("clip_low", "clip_high")
    }
    return {
        "normaliser": config.normaliser or chosen.normaliser,
        "aggregation": config.aggregation or published or chosen.aggregation,
        **ranges,
    }


def reopened(values: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Settings with what an earlier algorithm or loss filled emptied, where another is named."""
    emptied = [settings for name, settings in EMPTY.items() if name in changes]
    return {**values, **{key: value for settings in emptied for key, value in settings.items()}}


def warn_of_traps(config: Any) -> None:
    """Log what is allowed and does not do what it seems to do."""
    from covlaw.llm.config.filter_checks import warn_of_filters  # torch, which listings do without

    warn_of_filters(config)
    if config.kl_coefficient and config.kl_place == "loss" and config.kl_estimator == "k1":
        _log.warning(
            "kl_estimator is 'k1': in a loss its expected gradient is 0 on policy, so that "
            "kl_coefficient adds noise and no pull; use 'k2', the gradient of KL(policy to "
            "reference), or 'k3', that of KL(reference to policy)"
        )
