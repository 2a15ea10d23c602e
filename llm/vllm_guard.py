"""Keep vLLM, which runs in our process, from changing what the trainer relies on."""

import random
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


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
