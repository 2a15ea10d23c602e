"""What the base model is: its size, its training and the styles that it answers in."""

from dataclasses import dataclass

from covlaw.llm.base.mixtures import CONFLICTING_STYLES, StyleShare
from covlaw.llm.base.styles import STYLES
from covlaw.llm.tasks.arithmetic import DIFFICULTIES
from covlaw.theory._numerics.errors import CovlawError, unknown


@dataclass(frozen=True)
class BaseConfig:
    """A Qwen2 language model and how it is trained from scratch.

    Every step reads `batch` questions with their completions and `facts` bare calculations such as
    ``3 + 4 = 7``. The facts teach arithmetic with few tokens; they hold no question mark, so the
    distribution of the completions after a question stays that of `styles`.

    Attributes:
        width: Hidden size; a multiple of `heads`.
        layers: Number of transformer blocks.
        heads: Attention heads.
        feed_forward: Hidden size of the MLP.
        steps: Optimiser steps.
        batch: Questions a step.
        facts: Bare calculations a step.
        learning_rate: Peak of AdamW's schedule (linear warm-up, then cosine).
        styles: The mixture that the completions are drawn from.
        difficulty: Of the arithmetic, a name in `DIFFICULTIES`.
        samples: Completions a problem on which the finished model is measured.
        seed: Decides the initial weights, the batches and the measurement.
        threads: CPU threads; part of the configuration because the last bits depend on it.
    """

    width: int = 128
    layers: int = 2
    heads: int = 4
    feed_forward: int = 384
    steps: int = 250
    batch: int = 64
    facts: int = 128
    learning_rate: float = 3e-3
    styles: tuple[StyleShare, ...] = CONFLICTING_STYLES
    difficulty: str = "digits"
    samples: int = 16
    seed: int = 0
    threads: int = 1

    def __post_init__(self) -> None:
        """Refuse what cannot be trained.

        Raises:
            CovlawError: on sizes below 1, a width that the heads do not divide, unknown styles,
                or shares and rates outside their domain.
        """
        for name in ("width", "layers", "heads", "feed_forward", "steps", "batch", "facts",
                     "samples", "threads"):  # fmt: skip
            if getattr(self, name) < 1:
                raise CovlawError(f"base model: {name} is {getattr(self, name)}; it must be ≥ 1")
        if self.width % (2 * self.heads):
            raise CovlawError(
                f"base model: width {self.width} must be an even multiple of heads {self.heads}"
            )
        if not self.learning_rate > 0:
            raise CovlawError(f"base model: learning_rate {self.learning_rate} must be > 0")
        _check_styles(self.styles)
        if self.difficulty not in DIFFICULTIES:
            raise unknown("difficulty", str(self.difficulty), tuple(DIFFICULTIES))


def _check_styles(styles: tuple[StyleShare, ...]) -> None:
    if not styles:
        raise CovlawError("base model: give at least one style")
    for style, share, wrong_rate in styles:
        if style not in STYLES:
            raise unknown("style", style, tuple(STYLES))
        if not (0 < share < float("inf") and 0 <= wrong_rate <= 1):
            raise CovlawError(
                f"style {style!r}: share {share} must be > 0, wrong_rate {wrong_rate} in [0, 1]"
            )


PRESETS = {
    "default": BaseConfig(),
    "tiny": BaseConfig(
        width=64,
        layers=1,
        feed_forward=128,
        steps=100,
        batch=32,
        facts=16,
        learning_rate=1e-2,
        samples=1,
    ),
}
"""`tiny` trains in seconds and knows the styles, but hardly any arithmetic: for tests."""
