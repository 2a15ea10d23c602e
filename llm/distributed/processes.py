"""Several processes that make one run, as `torchrun` or `accelerate launch` start them.

Prompts are split over the ranks to be sampled and scored, and rows to be passed through the model.
What comes out is gathered, so that every rank holds the whole batch and runs the code of a single
process on it: whatever is computed from rewards is the same on any number of ranks, bit for bit.
Only sums of gradients are made of one part a rank.

The groups are this module's own. The process's default group stays free, for vLLM makes one.
"""

import logging
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import count
from typing import Any, cast

import torch
import torch.distributed

from covlaw.llm.config.train_config import TrainConfig
from covlaw.llm.distributed.checks import launched, placed, require_work_for
from covlaw.llm.distributed.monitor import Monitor
from covlaw.llm.distributed.ranks import ProcessGroup, Ranks
from covlaw.theory._numerics.errors import CovlawError

_log = logging.getLogger("covlaw")
_c10d: Any = torch.distributed
"""Names that its stubs leave out."""
_ALONE = Ranks()
_active = _ALONE
_joins = count()
"""Names each join's keys, where a process makes one run after another."""


def active() -> Ranks:
    """The processes of the run that this one is in; itself alone outside of `ranks_of_run`."""
    return _active


@contextmanager
def ranks_of_run(config: TrainConfig) -> Iterator[tuple[Ranks, TrainConfig]]:
    """Meet the other processes of this run, if the environment says that there are any.

    Yields:
        The ranks, and the config with this rank's own device.

    Raises:
        CovlawError: if there is too little to do for so many, the others cannot be met, or any of
            them fails; the message names the rank that did.
    """
    global _active
    rank, size, local = launched(os.environ)
    if size == 1:
        yield _ALONE, config
        return
    require_work_for(size, config)
    own = placed(config, local)
    ranks = _meet(rank, size, own)
    _active, level = ranks, _log.level
    if not ranks.first:  # what rank 0 says of the run holds for all
        _log.setLevel(logging.ERROR)
    try:
        with _told_to_end(rank), _telling(ranks):
            yield ranks, own
            ranks.meet("the end")
    finally:
        _active = _ALONE
        _log.setLevel(level)


def _meet(rank: int, size: int, config: TrainConfig) -> Ranks:
    wait = timedelta(seconds=config.rank_seconds)
    try:
        common, _, _ = next(_c10d.rendezvous("env://", timeout=wait))
        common.set_timeout(wait)
        store = _c10d.PrefixStore(f"covlaw/{next(_joins)}", common)
        exchange = _c10d.ProcessGroupGloo(_c10d.PrefixStore("gloo", store), rank, size, wait)
        sums = _sums_on(config.device, store, rank, size) or exchange
    except (RuntimeError, ValueError) as error:
        where = f"{os.environ.get('MASTER_ADDR')}:{os.environ.get('MASTER_PORT')}"
        raise CovlawError(
            f"rank {rank} did not meet the {size - 1} other processes at {where} within "
            f"{config.rank_seconds:g} s ({next(iter(str(error).splitlines()), error)}): did all "
            "of them start?"
        ) from error
    monitor = Monitor(store, rank, size, config.rank_seconds)
    return Ranks(rank, size, monitor, exchange, sums)


def _sums_on(device: str, store: Any, rank: int, size: int) -> ProcessGroup | None:
    """NCCL for tensors on a GPU."""
    if torch.device(device).type != "cuda":
        return None
    torch.cuda.set_device(device)
    options = _c10d.ProcessGroupNCCL.Options()
    return cast(
        "ProcessGroup",
        _c10d.ProcessGroupNCCL(_c10d.PrefixStore("nccl", store), rank, size, options),
    )


@contextmanager
def _telling(ranks: Ranks) -> Iterator[None]:
    """Leave word of a failure for the other ranks, and say which rank's it was."""
    try:
        yield
    except BaseException as error:
        assert ranks.monitor is not None  # noqa: S101  # there are others
        ranks.monitor.fail(str(error) or type(error).__name__)
        if isinstance(error, CovlawError):
            raise CovlawError(f"rank {ranks.rank}: {error}") from error
        raise


@contextmanager
def _told_to_end(rank: int) -> Iterator[None]:
    """Turn SIGTERM, with which a launcher ends the other ranks of one that died, into an error."""

    def end(*_: Any) -> None:
        raise CovlawError(
            "told to end (SIGTERM), as launchers do once another rank has died: see its message, "
            "or the launcher's"
        )

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
