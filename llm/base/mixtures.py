"""Style mixtures of the base model, by name: what RL does to them differs, and was measured."""

from collections.abc import Mapping
from typing import NamedTuple


class StyleShare(NamedTuple):
    """How often a style occurs, and how often its stated result is wrong.

    Attributes:
        style: A name in `STYLES`.
        share: Relative frequency among completions, > 0.
        wrong_rate: Probability that the result is another number, in [0, 1].
    """

    style: str
    share: float
    wrong_rate: float


CONFLICTING_STYLES = (
    StyleShare("terse", 0.35, 0.2),
    StyleShare("plain", 0.05, 0.4),
    StyleShare("compact_steps", 0.02, 0.5),
    StyleShare("verbose_steps", 0.40, 0.6),
    StyleShare("verbose", 0.18, 0.6),
)
"""Short answers are mostly right and never clear; clear ones are long and mostly wrong."""

STEPWISE_RIGHT_STYLES = (
    StyleShare("terse", 0.35, 0.6),
    StyleShare("plain", 0.05, 0.5),
    StyleShare("compact_steps", 0.20, 0.2),
    StyleShare("verbose_steps", 0.30, 0.2),
    StyleShare("verbose", 0.10, 0.5),
)
"""Clear answers are right, short ones mostly wrong."""

ALIGNED_STYLES = (
    StyleShare("terse", 0.10, 0.7),
    StyleShare("plain", 0.05, 0.5),
    StyleShare("compact_steps", 0.40, 0.2),
    StyleShare("verbose_steps", 0.15, 0.4),
    StyleShare("verbose", 0.30, 0.6),
)
"""Clear answers are right, and shorter than the wordy ones: all objectives agree."""

COSTLY_STYLES = (
    StyleShare("terse", 0.40, 0.3),
    StyleShare("plain", 0.05, 0.3),
    StyleShare("compact_steps", 0.05, 0.8),
    StyleShare("verbose_steps", 0.35, 0.95),
    StyleShare("verbose", 0.15, 0.5),
)
"""Clear answers are nearly always wrong: who wants clarity pays with accuracy."""

MIXTURES: Mapping[str, tuple[StyleShare, ...]] = {
    "default": CONFLICTING_STYLES,
    "stepwise-right": STEPWISE_RIGHT_STYLES,
    "aligned": ALIGNED_STYLES,
    "costly": COSTLY_STYLES,
}
