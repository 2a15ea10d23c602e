"""Records of the law's remainder and of turning signs, against plain exponentials."""

import math

import numpy as np
import pytest
import torch

from covlaw.theory.tilts.remainder import remainder_bounds
from covlaw.theory.tilts.thresholds import step_threshold
from covlaw.toys.measurements.remainder import PROMPTS, REACHES, SHAPES, measure
from covlaw.toys.measurements.tilted_bandits import (
    TiltedBandits,
    curvature,
    drawn,
    first_turn,
    turn_constant,
)

U = 2.0**-53
SUM = 1000
"""Above the roundings in a sum over at most 15 completions of products of exponentials."""


@pytest.fixture(scope="module")
def records() -> list[dict]:
    return measure(0, quick=True)


def test_every_strength_is_measured_and_none_passes_its_bound(records: list[dict]) -> None:
    random = [r for r in records if r["kind"] == "random remainder"]
    assert [(r["prompts"], r["reach"]) for r in random] == [
        (p, x) for p in PROMPTS for x in REACHES
    ]
    for record in random:
        quantiles = list(record["quantiles"].values())
        assert quantiles == sorted(quantiles)
        assert 0 < quantiles[0] < quantiles[-1] <= 1
        assert record["over"] == 0
    for record in (r for r in records if r["kind"] == "random turn"):
        assert 0 < record["turned"] < record["n"] == 60
        assert len(record["points"]) == record["turned"]
        assert record["earliest"] >= record["bound"] == turn_constant(record["prompts"])
        assert record["below"] == 0


def test_the_bernoulli_score_attains_the_bound(records: list[dict]) -> None:
    p = (3 - math.sqrt(3)) / 6
    for record in (r for r in records if r["kind"] == "extremal"):
        x = record["reach"]
        for way, eta in (("up", x), ("down", -x)):
            # Δ − ηC = p(1 − p)·[(e^η − 1)/(1 + p(e^η − 1)) − η] of a Bernoulli(p) reward and score
            growth = math.expm1(eta)
            error = abs(p * (1 - p) * (growth / (1 + p * growth) - eta))
            ratio = error / (math.sqrt(3) / 36 * x * x)
            assert record[way] == pytest.approx(ratio, abs=SUM * U * x / (x * x * 0.05))


def test_searched_bandits_are_recomputed_from_their_instance(records: list[dict]) -> None:
    found = [r for r in records if r["kind"] == "search"]
    for record in found:
        law, change, bend = _sums(record["policy"], record["score"], record["reward"])
        size = max(abs(x) for row in record["reward"] for x in row) * record["reach"]
        noise = SUM * U * size
        assert record["constant"] == pytest.approx(bend / abs(law), rel=noise / abs(law))
        share = abs(change - law) / (math.sqrt(3) / 36 * bend)
        assert record["of_bound"] == pytest.approx(share, abs=noise / (0.04 * bend))
        if record["what"] != "remainder":
            assert abs(change) <= noise
            assert record["constant"] > turn_constant(SHAPES[record["what"]][0])
    for what in SHAPES:
        assert len([r for r in found if r["what"] == what]) == len(REACHES) - 1
    assert max(r["of_bound"] for r in found if r["what"] == "remainder") > 0.99
    for what, bound in (("turn of one prompt", 32), ("turn of several prompts", 12 * 3**0.5)):
        assert min(r["constant"] for r in found if r["what"] == what) < 1.01 * bound


@pytest.mark.parametrize("prompts", PROMPTS)
def test_remainders_and_first_turns_are_those_of_the_statements(prompts: int) -> None:
    """The shipped bounds and certified zeros, which neither share the scan nor the batching."""
    bandits = drawn(np.random.default_rng(prompts), 25, prompts)
    turned, reach = first_turn(bandits)
    assert 2 < int(turned.sum()) < 25
    ids = torch.arange(prompts).repeat_interleave(bandits.policy.shape[2])
    for k in range(25):
        policy, score, reward = (values[k].flatten() for values in bandits)
        span = float(np.ptp(score.reshape(prompts, -1).numpy(), axis=1).max())
        exact = float(step_threshold(reward, score, ids, policy).certified[0]) * span
        if turned[k]:
            assert float(reach[k]) == pytest.approx(exact, rel=1e-6)
        else:
            assert exact > 100
        here = curvature(TiltedBandits(*(v[k : k + 1] for v in bandits)))
        _, change, _ = _sums(*(v[k].tolist() for v in bandits))
        bound = float(remainder_bounds(reward, score, 1.0, ids, policy).ranges[0])
        share = abs(change - float(here.law)) / bound
        assert float(here.of_bound) == pytest.approx(share, abs=SUM * U * span / bound)


def _sums(policy: list, score: list, reward: list) -> tuple[float, float, float]:
    """The referee: C, Δ and E[R S²] at η = 1, summed exactly, averaged over prompts."""
    rows = [_prompt(*row) for row in zip(policy, score, reward, strict=True)]
    law, change, bend = (math.fsum(column) / len(rows) for column in zip(*rows, strict=True))
    return law, change, bend


def _prompt(policy: list, score: list, reward: list) -> tuple[float, float, float]:
    tilted = [p * math.exp(s - max(score)) for p, s in zip(policy, score, strict=True)]
    new = [weight / math.fsum(tilted) for weight in tilted]
    mean_r = math.fsum(p * r for p, r in zip(policy, reward, strict=True))
    mean_s = math.fsum(p * s for p, s in zip(policy, score, strict=True))
    law = math.fsum(
        p * (r - mean_r) * (s - mean_s) for p, r, s in zip(policy, reward, score, strict=True)
    )
    change = math.fsum(q * (r - mean_r) for q, r in zip(new, reward, strict=True))
    return law, change, (max(reward) - min(reward)) * (max(score) - min(score)) ** 2
