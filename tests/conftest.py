"""Settings of every test: one thread, reproducible examples, no deadline on a shared machine.

`tests/` is on the path (pyproject, `pythonpath`), so that tests share `strategies` (inputs) and
`referee` (answers that share no code with the estimators). `HYPOTHESIS_PROFILE=thorough` draws
new examples, many more.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
from hypothesis import HealthCheck, settings

torch.set_num_threads(1)  # sums, and so the last bits of a result, depend on the thread count

settings.register_profile(
    "covlaw",
    max_examples=40,
    deadline=None,
    derandomize=True,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile(
    "thorough", settings.get_profile("covlaw"), max_examples=1000, derandomize=False
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "covlaw"))
