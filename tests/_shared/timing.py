"""CPU time for benchmarks: best of interleaved rounds, so that a busy machine hurts all alike."""

import time
from collections.abc import Callable


def cpu_seconds(*calls: Callable[[], object], rounds: int = 5) -> list[float]:
    """Best CPU time of each call, taken in turns."""
    best = [float("inf")] * len(calls)
    for _ in range(rounds):
        for k, call in enumerate(calls):
            start = time.process_time()
            call()
            best[k] = min(best[k], time.process_time() - start)
    return best
