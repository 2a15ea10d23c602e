"""Records of what clipping does to the law, against plain sums over completions."""

import math

import numpy as np
import pytest
import torch

from covlaw.toys.measurements.clipped_bandits import ClippedBandits, Effect, drifted, effect
from covlaw.toys.measurements.clipping import CLIPS, CORRELATIONS, DRIFTS, measure

U = 2.0**-53
"""Unit roundoff. Sums over 15 completions of products of 5 rounded factors make some 10² roundings;
10³ of them times the cancellation in the covariance bound what two ways of adding may differ by."""


@pytest.fixture(scope="module")
def records() -> list[dict]:
    return measure(0, quick=True)


def test_every_combination_is_counted(records: list[dict]) -> None:
    cells = [r for r in records if r["kind"] == "random"]
    assert len(cells) == len(DRIFTS) * len(CLIPS) * len(CORRELATIONS)
    for cell in cells:
        assert cell["certified"] + cell["turned"] <= cell["n"] == 10
        assert cell["turned_certified"] == cell["outside"] == 0
        assert len(cell["points"]) == min(cell["clipped"], 8)
        if cell["drift"] <= 1:  # T26: a tilt within the no-clip radius clips nothing
            assert cell["clipped"] == 0
    assert sum(cell["turned"] for cell in cells) > 50
    assert sum(cell["step_turned"] for cell in cells) > 50


def test_a_recorded_search_is_tight_and_recomputed_from_its_instance(records: list[dict]) -> None:
    found = [r for r in records if r["kind"] == "search"]
    assert len(found) > 40
    for record in found:
        x, y, slack = _one_prompt(record)
        assert record["x"] == pytest.approx(x, rel=slack)
        assert record["y"] == pytest.approx(y, abs=slack * (1 + abs(y)))
        assert abs(y - 1) <= x * (1 + slack)
    first = [r for r in found if r["niche"] == "first turn"]
    assert len(first) == 1
    assert first[0]["y"] < 0
    assert 1 < first[0]["x"] < 1.01
    assert sum(abs(r["y"] - 1) > 0.99 * r["x"] for r in found) > 40


def test_effects_of_several_prompts_are_ratios_of_means() -> None:
    bandits = drifted(np.random.default_rng(5), 4, 4.0, 0.2, 0.3)
    found = effect(bandits)
    for k in range(4):
        full, kept, bound, step, free = (
            math.fsum(values) / 3 for values in zip(*_prompts(bandits, k), strict=True)
        )
        assert found.x[k].item() == pytest.approx(bound / abs(full), rel=1e4 * U / abs(full))
        assert found.y[k].item() == pytest.approx(kept / full, rel=1e4 * U / abs(full * kept))
        assert found.step[k].item() == pytest.approx(step / free, rel=1e4 * U / abs(free * step))


def test_certified_and_outside_are_read_from_x_and_y() -> None:
    x, y = torch.tensor([0.5, 0.5, 1.0, 2.0, 2.0]), torch.tensor([0.6, 0.4, 0.0, -0.9, 3.1])
    found = Effect(x.double(), y.double(), y.double())
    assert found.certified.tolist() == [True, True, False, False, False]
    assert found.outside.tolist() == [False, True, False, False, True]


def test_drifted_bandits_are_what_they_say() -> None:
    drift, clip, correlation = 3.0, 0.1, 0.3
    bandits = drifted(np.random.default_rng(6), 5, drift, clip, correlation)
    policy, ratio = bandits.policy.numpy(), np.exp(bandits.log_ratio.numpy())
    np.testing.assert_allclose((policy * ratio).sum(2), 1, rtol=1e3 * U)
    reach = np.ptp(np.log(ratio), axis=2)
    np.testing.assert_allclose(reach, drift * math.log(1 + clip), rtol=1e3 * U)
    r, s = bandits.reward.numpy(), bandits.advantage.numpy()
    r = r - (policy * r).sum(2, keepdims=True)
    # a probability below 1e-4, which would cost digits in the planted correlation, is not drawn
    assert policy.min() > 1e-4
    np.testing.assert_allclose((policy * s * s).sum(2), 1, rtol=1e6 * U)
    np.testing.assert_allclose((policy * r * s).sum(2), correlation, rtol=1e6 * U)


def _prompts(bandits: ClippedBandits, k: int) -> list[tuple[float, ...]]:
    """Law, clipped law, margin, clipped and unclipped natural step of each prompt."""
    fields = (bandits.policy, bandits.log_ratio, bandits.advantage, bandits.reward)
    rows = zip(*(field[k].tolist() for field in fields), strict=True)
    return [_sums(*row, clip=bandits.clip[0]) for row in rows]


def _one_prompt(record: dict) -> tuple[float, float, float]:
    """x, y and their relative rounding, which the law's cancellation decides."""
    fields = (record[name] for name in ("policy", "log_ratio", "advantage", "reward"))
    policy, log_ratio, advantage, reward = map(list, fields)
    full, kept, bound, *_ = _sums(policy, log_ratio, advantage, reward, clip=record["clip"])
    size = math.fsum(
        p * math.exp(q) * abs(a) for p, q, a in zip(policy, log_ratio, advantage, strict=True)
    )
    return bound / abs(full), kept / full, 1e3 * U * max(map(abs, reward)) * size / abs(full)


def _sums(
    policy: list, log_ratio: list, advantage: list, reward: list, clip: float
) -> tuple[float, ...]:
    """The referee: exact sums, completion by completion."""
    rho = [math.exp(x) for x in log_ratio]
    gone = [
        (a >= 0 and x > 1 + clip) or (a < 0 and x < 1 - clip)
        for a, x in zip(advantage, rho, strict=True)
    ]
    signal = [x * a for x, a in zip(rho, advantage, strict=True)]
    lost = [v if g else 0.0 for v, g in zip(signal, gone, strict=True)]
    kept = [v - y for v, y in zip(signal, lost, strict=True)]
    new = [p * x for p, x in zip(policy, rho, strict=True)]
    left = [0.0 if g else a for a, g in zip(advantage, gone, strict=True)]

    def mean(mass: list, values: list) -> float:
        return math.fsum(p * v for p, v in zip(mass, values, strict=True))

    def covariance(mass: list, u: list, v: list) -> float:
        at_u, at_v = mean(mass, u), mean(mass, v)
        return mean(mass, [(a - at_u) * (b - at_v) for a, b in zip(u, v, strict=True)])

    centre, average = mean(policy, reward), mean(policy, lost)
    deviation = math.sqrt(covariance(policy, reward, reward) * covariance(policy, lost, lost))
    spread = (max(reward) - min(reward)) / 2 * mean(policy, [abs(y - average) for y in lost])
    near = [(r - centre) ** 2 * g for r, g in zip(reward, gone, strict=True)]
    local = math.sqrt(mean(policy, near) * mean(policy, [y * y for y in lost]))
    return (
        covariance(policy, reward, signal),
        covariance(policy, reward, kept),
        min(deviation, spread, local),
        covariance(new, reward, left),
        covariance(new, reward, advantage),
    )
