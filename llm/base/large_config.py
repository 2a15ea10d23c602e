"""What the larger base model is: some 113 million parameters and four difficulties."""

from dataclasses import dataclass

from covlaw.llm.base.config import BaseConfig
from covlaw.llm.tasks.arithmetic import DIFFICULTIES
from covlaw.theory._numerics.errors import CovlawError, unknown

DTYPES = ("float32", "bfloat16")


@dataclass(frozen=True)
class LargeConfig(BaseConfig):
    """A base model that takes minutes of a GPU: trained in pieces, each kill continued.

    A step's questions and facts are divided evenly among `difficulties`. What `BaseConfig` says
    holds here too, with other defaults.

    Attributes:
        also: Difficulties beside `difficulty`, on which the finished model is measured.
        warm_up: Steps of linear warm-up.
        micro_batch: Rows a forward and backward pass; gradients add up to the step's own.
        dtype: Of matrix products; parameters and optimiser are float32.
        device: Torch device.
        checkpoint_every: Steps between checkpoints.
    """

    width: int = 768
    layers: int = 12
    heads: int = 12
    feed_forward: int = 3072
    steps: int = 2000
    batch: int = 1024
    facts: int = 1024
    learning_rate: float = 6e-4
    difficulty: str = "tens"
    samples: int = 4
    also: tuple[str, ...] = ("digits", "teens", "products")
    warm_up: int = 100
    micro_batch: int = 1024
    dtype: str = "float32"
    device: str = "cpu"
    checkpoint_every: int = 200

    def __post_init__(self) -> None:
        """Refuse what cannot be trained.

        Raises:
            CovlawError: as `BaseConfig`, or on an unknown difficulty or dtype, counts below 1, or
                fewer questions or facts than difficulties.
        """
        super().__post_init__()
        for name in ("warm_up", "micro_batch", "checkpoint_every"):
            if getattr(self, name) < 1:
                raise CovlawError(f"base model: {name} is {getattr(self, name)}; it must be ≥ 1")
        for name in self.also:
            if name not in DIFFICULTIES:
                raise unknown("difficulty", str(name), tuple(DIFFICULTIES))
        if self.dtype not in DTYPES:
            raise unknown("dtype", str(self.dtype), DTYPES)
        if min(self.batch, self.facts) < len(self.difficulties):
            raise CovlawError(
                f"base model: {len(self.difficulties)} difficulties need as many questions and "
                f"facts a step; batch is {self.batch}, facts is {self.facts}"
            )

    @property
    def difficulties(self) -> tuple[str, ...]:
        """All difficulties of the training texts."""
        return self.difficulty, *self.also
