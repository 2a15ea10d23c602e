"""Noise takes MGDA's weight from .51 to .95 (T62); a crossed Gramian gives most of it back."""

import pytest

from covlaw.toys.measurements import gramian_noise


@pytest.fixture(scope="module")
def records() -> dict[tuple[str, str, float], float]:
    found = gramian_noise.measure(0)
    return {(r["method"], r["gramian"], r["scale"]): r["weight"] for r in found}


def test_mgdas_weight_in_truth_and_from_the_plain_gramian(
    records: dict[tuple[str, str, float], float],
) -> None:
    """(G₂₂ − G₁₂)/(G₁₁ + G₂₂ − 2G₁₂) of [[1, .2], [.2, 1.04]] and [[1.16, .2], [.2, 17.04]]."""
    assert records["mgda", "true", 1.0] == pytest.approx(0.84 / 1.64)
    assert records["mgda", "expected", 1.0] == pytest.approx(16.84 / 17.8)
    assert round(records["mgda", "true", 1.0], 2) == 0.51
    assert round(records["mgda", "plain", 1.0], 2) == 0.95


@pytest.mark.parametrize("method", ["mgda", "nash_mtl", "gradnorm"])
def test_noise_moves_every_method_that_looks_at_lengths(
    method: str, records: dict[tuple[str, str, float], float]
) -> None:
    truth = records[method, "true", 1.0]
    assert abs(records[method, "plain", 1.0] - truth) > 0.2
    assert abs(records[method, "crossed", 1.0] - truth) < abs(records[method, "plain", 1.0] - truth)
    assert records[method, "plain", 0.0] == pytest.approx(truth)
    assert records[method, "crossed", 0.0] == pytest.approx(truth)


def test_upgrad_without_conflict_is_left_alone_and_the_measurement_repeats(
    records: dict[tuple[str, str, float], float],
) -> None:
    """Its weights depend on conflicts only, and these two gradients have none."""
    assert records["upgrad", "true", 1.0] == pytest.approx(0.5)
    assert records["upgrad", "plain", 0.3] == pytest.approx(0.5, abs=0.02)
    assert gramian_noise.measure(0, quick=True) == gramian_noise.measure(0, quick=True)
