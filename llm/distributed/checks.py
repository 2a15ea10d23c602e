"""What the launcher says of the processes, and whether a run's settings have work for them all."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch

from covlaw.llm.config.train_config import TrainConfig
from covlaw.theory._numerics.errors import CovlawError

LAUNCH = "launch with torchrun or accelerate (docs/distributed.md)"


class Launched(NamedTuple):
    """This process among those that the launcher started."""

    rank: int
    size: int
    local_rank: int
    """Among those on this machine."""


def launched(environment: Mapping[str, str]) -> Launched:
    """Read the variables that `torchrun` sets; without WORLD_SIZE, one process.

    Raises:
        CovlawError: naming a variable that is missing or no whole number.
    """
    size = _whole(environment, "WORLD_SIZE") if "WORLD_SIZE" in environment else 1
    if size <= 1:
        return Launched(0, 1, 0)
    for name in ("MASTER_ADDR", "MASTER_PORT"):
        if not environment.get(name):
            raise CovlawError(f"WORLD_SIZE is {size}, but {name} is not set: {LAUNCH}")
    rank = _whole(environment, "RANK")
    if not 0 <= rank < size:
        raise CovlawError(f"RANK is {rank} of {size} processes: {LAUNCH}")
    local = _whole(environment, "LOCAL_RANK") if "LOCAL_RANK" in environment else rank
    return Launched(rank, size, local)


def _whole(environment: Mapping[str, str], name: str) -> int:
    try:
        return int(environment.get(name, ""))
    except ValueError as error:
        value = environment.get(name)
        found = "not set" if value is None else f"{value!r}, no whole number"
        raise CovlawError(f"{name} is {found}: {LAUNCH}") from error


def require_one_process(environment: Mapping[str, str], command: str) -> None:
    """Refuse several processes for a command that one does.

    Raises:
        CovlawError: saying so.
    """
    size = launched(environment).size
    if size > 1:
        raise CovlawError(f"{command} runs in one process, not in {size}: leave the launcher out")


def require_work_for(size: int, config: TrainConfig) -> None:
    """Refuse settings that leave a rank without a prompt.

    Raises:
        CovlawError: naming the setting.
    """
    for name in ("prompts", *(["audit_prompts"] if config.audits else [])):
        if getattr(config, name) < size:
            raise CovlawError(
                f"{name} is {getattr(config, name)} for {size} processes: whole prompts are split "
                f"over them, so raise it to {size}, or start fewer"
            )


def placed(config: TrainConfig, local_rank: int) -> TrainConfig:
    """Give a rank its own device: `cuda` becomes `cuda:LOCAL_RANK`.

    Raises:
        CovlawError: if there is no such device, or one that every rank would use, or if vLLM,
            which takes the first GPU that it sees, would share it.
    """
    device: Any = torch.device(config.device)
    if device.type != "cuda":
        return config
    if device.index is not None:
        raise CovlawError(f'device is {config.device!r} for every rank: set device = "cuda"')
    visible = torch.cuda.device_count()
    if visible == 1:  # a launcher may show each rank the one that is its own
        local_rank = 0
    elif config.engine == "vllm":
        raise CovlawError(
            f"engine 'vllm' takes the first GPU that its process sees, and each sees {visible}: "
            "show each its own, with CUDA_VISIBLE_DEVICES=$LOCAL_RANK (docs/distributed.md)"
        )
    if local_rank >= visible:
        raise CovlawError(
            f"rank {local_rank} of this machine has no GPU of its own: {visible} are visible, so "
            f"start as many processes, --nproc-per-node {visible}"
        )
    return config.with_options(device=f"cuda:{local_rank}")
