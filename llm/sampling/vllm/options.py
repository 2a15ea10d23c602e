"""The options of vLLM that a run may set, and the defaults that suit a trainer beside it."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from covlaw.theory._numerics.errors import CovlawError, unknown

MAX_NUM_SEQS = 256
"""Completions decoded at once."""
GPU_SHARE = 0.3
"""Of the GPU's memory, for weights and cache; the trainer, in the same process, gets the rest."""


class VllmOptions(NamedTuple):
    """Engine options, completed.

    Attributes:
        dtype: Of weights and activations: float32, bfloat16 or float16; default float32 on a CPU,
            where log-probs then agree with the trainer's to rounding, bfloat16 on CUDA.
        max_model_len: Tokens of prompt and completion; 0: what the task's longest prompt and
            `max_tokens` need.
        max_num_seqs: Completions decoded at once.
        gpu_memory_utilization: Share of the GPU's memory; CUDA only.
        enforce_eager: Whether to run without CUDA graphs and compilation; default on a CPU.
        seed: Of what vLLM draws besides completions, whose seeds come from the run's own.
    """

    dtype: str
    max_model_len: int
    max_num_seqs: int
    gpu_memory_utilization: float
    enforce_eager: bool
    seed: int

    @classmethod
    def complete(cls, given: Mapping[str, Any], device: str) -> "VllmOptions":
        """Add the defaults of a device type, "cpu" or "cuda"."""
        on_cpu = device == "cpu"
        dtype = "float32" if on_cpu else "bfloat16"
        defaults = cls(dtype, 0, MAX_NUM_SEQS, GPU_SHARE, on_cpu, 0)
        return defaults._replace(**given)


DTYPES = ("float32", "bfloat16", "float16")
_LEAST = {"max_model_len": 0, "max_num_seqs": 1, "seed": 0}


def check_vllm_options(options: Any) -> None:
    """Refuse unknown options and values outside their domain.

    Raises:
        CovlawError: naming the option, its value and the remedy.
    """
    if not isinstance(options, Mapping):
        raise CovlawError(f"engine_options is {options!r}: use a table, e.g. {{max_num_seqs=64}}")
    for name, value in options.items():
        if name not in VllmOptions._fields:
            raise unknown("engine option", name, VllmOptions._fields)
        remedy = _remedy(name, value)
        if remedy:
            raise CovlawError(f"engine_options.{name} is {value!r}: use {remedy}")


def _remedy(name: str, value: Any) -> str | None:
    """What to use instead; None if the value will do."""
    if name == "dtype":
        return None if value in DTYPES else " or ".join(DTYPES)
    if name == "enforce_eager":
        return None if isinstance(value, bool) else "true or false"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "a number"
    if name == "gpu_memory_utilization":
        return None if 0 < value < 1 else "a share in (0, 1)"
    least = _LEAST[name]
    return None if isinstance(value, int) and value >= least else f"a whole number ≥ {least}"
