"""How large the stages are: as a GPU is asked, or as a CPU can do in a minute."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from covlaw.ladder.real.judged import SIZES, Sizes
from covlaw.llm.base.large_config import LargeConfig
from covlaw.llm.config.train_config import TrainConfig
from covlaw.llm.loop.throughput import NAMES
from covlaw.llm.model.random_model import SHAPES, Shape

METHODS = ("linear", "ctwa-fast", "covariance_mgda")
"""Scalarizers that are trained, in this order."""


@dataclass(frozen=True)
class Scale:
    """Sizes of all stages.

    Attributes:
        tiny: Whether this only shows that the stages work.
        device: Torch device.
        base: The base model's training.
        overrides: Settings of the RL runs that differ from the preset `gpu-base`.
        shape: Of the model whose passes are timed.
        timing: Settings of these passes that differ from the preset `gpu-throughput`.
        passes: Which of them are timed.
        real: Settings of the runs on the real model that differ from the preset `cpu-real`.
        model: That model; "": the base model that an earlier stage trains.
        judged: What is drawn to judge these runs.
    """

    tiny: bool
    device: str
    base: LargeConfig
    overrides: Mapping[str, Any]
    shape: Shape
    timing: Mapping[str, Any]
    passes: tuple[str, ...]
    real: Mapping[str, Any]
    model: str = "smollm2"
    judged: Sizes = SIZES

    def real_settings(self, model: str) -> dict[str, Any]:
        """Settings of the runs on the real model; vLLM samples where it is installed."""
        return {"model": model, "device": self.device, "engine": self._engine, **self.real}

    @property
    def _engine(self) -> str:
        vllm = not self.tiny and find_spec("vllm") is not None
        return "vllm" if vllm else "transformers"

    def run_config(self, method: str, model: str, out: str) -> TrainConfig:
        """Settings of one RL run; vLLM samples where it is installed for this device."""
        chosen = {"scalarizer": method, "model": model, "out": out, "device": self.device}
        engine = {"engine": self._engine}
        return TrainConfig.preset("gpu-base", **{**engine, **chosen, **self.overrides})

    def timing_config(self) -> TrainConfig:
        """Settings of the timed passes."""
        return TrainConfig.preset("gpu-throughput", **{"device": self.device, **self.timing})


FULL = Scale(
    tiny=False,
    device="cuda",
    base=LargeConfig(dtype="bfloat16", device="cuda"),
    overrides={},
    shape=SHAPES["qwen2.5-1.5b"],
    timing={},
    passes=NAMES,
    real={
        "steps": 200, "audits": 8, "prompts": 32, "completions": 16, "max_tokens": 48,
        "train_layers": 0, "learning_rate": 3e-6, "audit_prompts": 64, "threads": 1,
    },
)  # fmt: skip
TINY = Scale(
    tiny=True,
    device="cpu",
    base=LargeConfig(
        width=64, layers=1, heads=2, feed_forward=128, steps=80, batch=48, facts=16, samples=1,
        learning_rate=1e-2, difficulty="teens", also=("digits", "products"), warm_up=10,
        micro_batch=24, checkpoint_every=20,
    ),
    overrides={
        "steps": 4, "prompts": 6, "completions": 6, "observed": 4, "audits": 2, "audit_prompts": 6,
        "audit_completions": 4, "measured_completions": 4, "checkpoint_every": 2,
        "micro_batch": 64, "task_options.difficulty": "teens",
    },
    shape=SHAPES["tiny"],
    timing={
        "prompts": 2, "completions": 4, "max_prompt_tokens": 8, "max_tokens": 16, "micro_batch": 4
    },
    passes=NAMES[:-1],  # compiling takes a CPU minutes
    real={
        "steps": 2, "audits": 1, "prompts": 4, "completions": 4, "max_tokens": 8,
        "train_layers": 0, "audit_prompts": 4, "audit_completions": 4, "measured_completions": 4,
        "threads": 1,
    },
    model="",
    judged=Sizes(4, 4),
)  # fmt: skip
