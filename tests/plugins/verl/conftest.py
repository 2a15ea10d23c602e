"""These run in verl itself: left out where it is not installed (`make test-verl`)."""

import os
import warnings
from collections.abc import Iterator
from importlib.util import find_spec

import pytest

if find_spec("verl") is None:
    collect_ignore_glob = ["test_*.py"]
else:
    with warnings.catch_warnings():  # verl's and Ray's own
        warnings.simplefilter("ignore")
        import verl.trainer.ppo.v1  # noqa: F401

        import covlaw.plugins.verl  # noqa: F401  # where it is on the path without its entry point


def pytest_collection_modifyitems(items) -> None:
    for item in items:
        if "plugins/verl" in str(item.path):  # verl's own warnings are not ours to forbid
            item.add_marker(pytest.mark.filterwarnings("default"))


@pytest.fixture(scope="session")
def queue() -> Iterator[None]:
    """The real TransferQueue, in actors of Ray; it waits for ever where Ray counts two CPUs."""
    os.environ.setdefault("RAY_worker_niceness", "0")  # at 15 they starve on a busy machine
    import ray
    import transfer_queue as tq
    from omegaconf import OmegaConf

    ray.init(num_cpus=32, include_dashboard=False, logging_level="ERROR")
    storage = {"total_storage_size": 10_000, "num_data_storage_units": 1}
    backend = {"storage_backend": "SimpleStorage", "SimpleStorage": storage}
    tq.init(OmegaConf.create({"backend": backend}))
    yield
    tq.close()
    ray.shutdown()
