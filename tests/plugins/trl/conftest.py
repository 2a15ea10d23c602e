"""These run in TRL itself: left out where it is not installed (`make test-trl`)."""

from importlib.util import find_spec

import pytest

if find_spec("trl") is None:
    collect_ignore_glob = ["test_*.py"]


def pytest_collection_modifyitems(items) -> None:
    for item in items:
        if "plugins/trl" in str(item.path):  # TRL's own warnings are not ours to forbid
            item.add_marker(pytest.mark.filterwarnings("default"))
