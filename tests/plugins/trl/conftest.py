"""These run in TRL itself: skipped where it is not installed (`make test-trl`)."""

import pytest

pytest.importorskip("trl", reason="the plug-in runs in TRL: pip install 'covlaw[trl]'")


def pytest_collection_modifyitems(items) -> None:
    for item in items:
        if "plugins/trl" in str(item.path):  # TRL's own warnings are not ours to forbid
            item.add_marker(pytest.mark.filterwarnings("default"))
