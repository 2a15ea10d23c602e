"""Records of how model geometry bends the law."""

import json
import math

import numpy as np
import pytest
import torch

from covlaw.theory._numerics.errors import CovlawError
from covlaw.toys.bandit import bandit_world
from covlaw.toys.measurements.geometry import measure
from covlaw.toys.measurements.opposed_signs import disagreement_shares


@pytest.fixture(scope="module")
def records() -> list[dict]:
    return measure(0, quick=True, widths=(8,))


def test_records_are_finite_and_reproducible(records: list[dict]) -> None:
    assert [r["architecture"] for r in records] == ["qwen2", "llama", "gpt2"]
    assert json.loads(json.dumps(records, allow_nan=False)) == records
    again = measure(0, quick=True, architectures=("llama",), widths=(8,))
    assert again == [records[1]]
    other = measure(1, quick=True, architectures=("llama",), widths=(8,))
    assert other[0]["k_max"] != records[1]["k_max"]


def test_spectra_and_shares_fit_together(records: list[dict]) -> None:
    for record in records:
        assert record["completions"] == 80
        assert 0 < record["k_min"] < record["k_max"]
        assert record["kappa"] == record["k_max"] / record["k_min"]
        assert record["spectrum"] == sorted(record["spectrum"])
        ends = (record["k_min"] / record["k_max"], 1)
        assert (record["spectrum"][0], record["spectrum"][-1]) == pytest.approx(ends, rel=1e-12)
        threshold = (record["kappa"] - 1) / (record["kappa"] + 1)
        assert 0 < record["by_spectrum"] < 0.5
        assert record["threshold"] == pytest.approx(threshold, rel=1e-9)
        for shares in (record[kind] for kind in ("tables", "modes", "mixtures", "objectives")):
            assert shares["certified_wrong"] == 0
            assert shares["certified"] <= shares["certified_by_score"] <= 1 - shares["disagree"]
        assert record["objectives"]["certified_by_score"] > record["tables"]["certified_by_score"]


def test_the_angle_predicts_how_often_signs_disagree(records: list[dict]) -> None:
    """Rewards are shared by the scores, so the error is that of 100 rewards, not of 4,000 pairs."""
    for record in records:
        p = record["tables"]["predicted"]
        assert 0.05 < p < 0.5
        assert abs(record["tables"]["disagree"] - p) <= 4 * math.sqrt(p * (1 - p) / 100)


def test_covariance_and_gramian_predict_how_often_signs_disagree(records: list[dict]) -> None:
    for record in records:
        for kind, draws in (("tables", 40), ("modes", 40), ("mixtures", 400)):
            p = record["by_family"][kind]
            # scores are shared by the rewards, so the error is that of so many scores
            assert abs(record[kind]["disagree"] - p) <= 4 * math.sqrt(p * (1 - p) / draws)
        # 0 of the three says that one number does for all
        assert record["by_family"]["mixtures"] < 0.6 * record["by_family"]["modes"]


def test_a_uniform_bandit_never_disagrees() -> None:
    """K is a multiple of the identity: κ = 1, threshold 0, everything is certified."""
    rng = np.random.default_rng(0)
    world = bandit_world(rng, 1, 6, 2, spread=0.0)
    scores, rewards = (torch.as_tensor(rng.normal(size=(6, n))) for n in (4, 9))
    shares = disagreement_shares(world, scores, rewards)
    assert shares.disagree == shares.certified_wrong == 0
    assert shares.predicted <= 1e-7
    assert shares.certified == shares.certified_by_score == 1


def test_refuses_an_unknown_architecture() -> None:
    with pytest.raises(CovlawError, match="architecture"):
        measure(architectures=("qwen9",))
