"""Records of measurements compared with what the code measures, on whichever processor."""

from typing import Any

import pytest

RELATIVE = 1e-8
"""Another processor's sums differ in the last bits, 1e-16 a step. Recorded gaps fall to 1e-7 of
their start within some hundred steps, so that a relative 1e-8 is left of it."""


def assert_recorded(measured: Any, recorded: Any, where: str = "") -> None:
    """Same structure, names and counts; numbers to `RELATIVE`."""
    if isinstance(recorded, dict):
        assert measured.keys() == recorded.keys(), where
        for name, value in recorded.items():
            assert_recorded(measured[name], value, f"{where}/{name}")
    elif isinstance(recorded, list):
        assert len(measured) == len(recorded), where
        for index, value in enumerate(recorded):
            assert_recorded(measured[index], value, f"{where}[{index}]")
    elif isinstance(recorded, float):
        assert measured == pytest.approx(recorded, rel=RELATIVE, abs=1e-300), where
    else:
        assert measured == recorded, where
