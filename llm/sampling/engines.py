"""Choose and build the sampling engine of a run or an evaluation."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import torch

from covlaw.llm.config.engine_checks import ENGINES
from covlaw.llm.config.train_config import TrainConfig
from covlaw.llm.model.ends import end_tokens
from covlaw.llm.model.policy import resolve_model
from covlaw.llm.sampling.engine import Engine, TransformersEngine, encode_prompts
from covlaw.llm.sampling.truncation import Truncation
from covlaw.llm.sampling.vllm.engine import VllmEngine
from covlaw.llm.sampling.vllm.options import VllmOptions
from covlaw.llm.sampling.vllm.start import check_platform, import_vllm
from covlaw.theory._numerics.errors import CovlawError


class EngineSettings(Protocol):
    """The settings that engines read; those of `TrainConfig` and `EvalConfig`."""

    @property
    def engine(self) -> str: ...  # noqa: D102
    @property
    def engine_options(self) -> Mapping[str, Any]: ...  # noqa: D102
    @property
    def model(self) -> str: ...  # noqa: D102
    @property
    def device(self) -> str: ...  # noqa: D102
    @property
    def max_tokens(self) -> int: ...  # noqa: D102
    @property
    def top_k(self) -> int: ...  # noqa: D102
    @property
    def top_p(self) -> float: ...  # noqa: D102


def require_engine(settings: EngineSettings) -> None:
    """Make sure, before any work, that the engine can be had.

    Raises:
        CovlawError: if vLLM is missing, broken, or built for another device; with the remedy.
    """
    if settings.engine == "vllm":
        check_platform(import_vllm(), settings.device)


def make_engine(
    settings: EngineSettings, model: Any, tokenizer: Any, prompts: Sequence[str]
) -> Engine:
    """Build the engine.

    Args:
        settings: Of the run or the evaluation.
        model: The policy, which the transformers engine samples from directly.
        tokenizer: Its tokenizer.
        prompts: All that will be sampled: the longest one decides how much room vLLM needs.

    Raises:
        CovlawError: as `require_engine`, if vLLM refuses the model or the options, or where one
            from outside is no engine.
    """
    engine: Engine = ENGINES.find(settings.engine)(settings, model, tokenizer, prompts)
    missing = [part for part in ("sample", "sync") if not hasattr(engine, part)]
    if missing:
        raise CovlawError(
            f"engine {settings.engine!r} lacks {', '.join(missing)}: see "
            "covlaw.llm.sampling.engine.Engine"
        )
    return engine


def transformers_engine(
    settings: EngineSettings, model: Any, tokenizer: Any, prompts: Sequence[str]
) -> Engine:
    """Sample from the policy itself."""
    del prompts
    dtype = getattr(settings, "sampling_dtype", "float32")  # an evaluation has none
    return TransformersEngine(model, tokenizer, truncation_of(settings), dtype)


def measuring_engine(config: TrainConfig, model: Any, tokenizer: Any, engine: Engine) -> Engine:
    """What audits and evaluations draw with: the policy as it is trained.

    That is the run's own engine, unless it is a copy in bfloat16. Rounding makes more of one update
    and less of the next: most weights stay where they are, and those near the middle between two
    numbers jump. Under a correction, which is about the engine's own completions, it is that one.
    """
    if not config.samples_a_copy or config.engine_correction != "off":
        return engine
    return TransformersEngine(model, tokenizer, truncation_of(config))


def vllm_engine(
    settings: EngineSettings, model: Any, tokenizer: Any, prompts: Sequence[str]
) -> Engine:
    """Sample with vLLM in this process, its weights synced after each step (docs/vllm.md)."""
    options = engine_options(settings)
    if not options.max_model_len:
        longest = int(encode_prompts(tokenizer, prompts, "cpu")[1].sum(1).max())
        options = options._replace(max_model_len=longest + settings.max_tokens)
    path = resolve_model(settings.model)
    return VllmEngine(
        path,
        tokenizer,
        options,
        truncation_of(settings),
        settings.device,
        end_tokens(model, tokenizer),
    )


def engine_options(settings: EngineSettings) -> VllmOptions:
    """Complete the options by the device's defaults."""
    return VllmOptions.complete(settings.engine_options, torch.device(settings.device).type)


def truncation_of(settings: EngineSettings) -> Truncation:
    """Top-k and top-p of a run or an evaluation."""
    return Truncation(settings.top_k, settings.top_p)
