"""What the settings of an engine must satisfy, before anything is loaded."""

from collections.abc import Callable
from typing import Any

from covlaw.llm.config.checks import check_counts
from covlaw.llm.sampling.vllm.options import check_vllm_options
from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory._numerics.plugins import Registry

ENGINES: Registry[Callable[..., Any]] = Registry(
    "engine",
    "covlaw.engines",
    {
        "transformers": "covlaw.llm.sampling.engines:transformers_engine",
        "vllm": "covlaw.llm.sampling.engines:vllm_engine",
    },
)
"""Functions (settings, model, tokenizer, prompts) -> `covlaw.llm.sampling.engine.Engine`."""


def check_engine(settings: Any) -> None:
    """Refuse an unknown engine, options it does not have, and truncation outside its domain.

    Raises:
        CovlawError: naming the setting, its value and the remedy.
    """
    ENGINES.find(settings.engine)
    check_counts(settings, {0: ("top_k",)})
    if not 0 < settings.top_p <= 1:
        raise CovlawError(f"top_p is {settings.top_p}: use a value in (0, 1]")
    if settings.engine == "vllm":
        check_vllm_options(settings.engine_options)
        if settings.temperature < 0.01:
            raise CovlawError(
                f"temperature is {settings.temperature}: vLLM raises what is below 0.01 to 0.01; "
                'use a higher one, or engine = "transformers"'
            )
    elif settings.engine == "transformers" and settings.engine_options:
        names = ", ".join(settings.engine_options)
        raise CovlawError(
            f'engine_options has {names}, which engine "transformers" does not read: remove them, '
            'or set engine = "vllm"'
        )
