"""Keep vLLM, which runs in our process, from changing what the trainer relies on."""

import gc
import random
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from weakref import WeakSet

import numpy as np
import torch

from covlaw.theory._numerics.errors import CovlawError

ALIVE: WeakSet[object] = WeakSet()
"""Engines of this process that somebody holds."""


@contextmanager
def contained() -> Iterator[None]:
    """Restore on exit the global random states and torch's thread settings; hide its warnings.

    vLLM seeds Python, NumPy and torch when it loads and when it warms up, draws from torch's global
    stream at every decoded token, and on a CPU replaces `torch.set_num_threads` by a function that
    does nothing.
    """
    numpy_state, python_state = np.random.get_state(), random.getstate()  # noqa: NPY002
    set_num_threads, threads = torch.set_num_threads, torch.get_num_threads()
    with torch.random.fork_rng(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        finally:
            np.random.set_state(numpy_state)  # noqa: NPY002
            random.setstate(python_state)
            torch.set_num_threads = set_num_threads
            torch.set_num_threads(threads)


def require_none_alive() -> None:
    """Let engines that nobody holds be finalised before the next starts, for that ends its groups.

    Raises:
        CovlawError: if one is still held.
    """
    gc.unfreeze()  # vLLM freezes what is alive once it has started, itself included
    gc.collect()
    if ALIVE:
        raise CovlawError(
            "this process has a vLLM engine already, and vLLM's groups are the process's: drop "
            "that one first, or start another process"
        )
