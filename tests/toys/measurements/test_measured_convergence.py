"""Recorded gaps and bounds against a referee of plain NumPy that shares no code with them."""

import json
import math
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from recorded import assert_recorded

from covlaw.toys.measurements import convergence
from covlaw.toys.measurements.drift import ctwa_weights, drifting
from covlaw.toys.measurements.softmax_gaps import softmax_gaps

RECORD = Path(__file__).parents[3] / "figures" / "data" / "ladder" / "convergence.jsonl"


@pytest.fixture(scope="module")
def records() -> list[dict[str, Any]]:
    return [json.loads(line) for line in RECORD.read_text().splitlines()]


def of(records: list[dict[str, Any]], panel: str, case: str | None = None) -> dict[str, Any]:
    [found] = [r for r in records if r["panel"] == panel and case in (None, r["case"])]
    return found


def test_the_record_is_what_the_code_measures(records: list[dict[str, Any]]) -> None:
    measured = json.loads(json.dumps(convergence.measure(0), allow_nan=False))
    assert_recorded(measured, records)


def test_no_proved_bound_is_passed_and_every_false_one_is(records: list[dict[str, Any]]) -> None:
    for record in records:
        for name, bound in record["bounds"].items():
            later = slice(1 - record["step"][0], None)
            ratio = (np.array(bound) / np.array(record["gap"]))[later]
            assert record["least_ratio"][name] <= ratio.min()
            assert (ratio.min() >= 1 - record["tolerance"]) == (name != "false")


def test_descent_on_waves_and_its_rates(records: list[dict[str, Any]]) -> None:
    record = of(records, "smooth")
    x = np.random.default_rng([0, 41]).normal(scale=10, size=(64, 2))

    def value(x: np.ndarray) -> Any:
        return 0.0875 * x[:, 0] ** 2 + x[:, 1] ** 2 + 3 * np.sin(x[:, 1]) ** 2

    first, gaps = value(x), []
    for _ in range(401):
        gaps.append((value(x) / first).max())
        slope = np.stack([0.175 * x[:, 0], 2 * x[:, 1] + 6 * np.sin(x[:, 1]) * np.cos(x[:, 1])], 1)
        x = x - slope / 8
    step = np.array(record["step"])
    np.testing.assert_allclose(record["gap"], np.array(gaps)[step], rtol=1e-10)
    np.testing.assert_allclose(record["bounds"]["classic"], (1 - 0.175 / 8) ** step, rtol=1e-10)
    improved = ((2 * 8 - 2 * 0.175) / (2 * 8 + 0.175)) ** step
    np.testing.assert_allclose(record["bounds"]["improved"], improved, rtol=1e-10)


def test_mean_gap_under_noise_over_all_sign_patterns() -> None:
    record = convergence.noisy(3.0, 12)
    for t, gap, ours in zip(record["step"], record["gap"], record["bounds"]["ours"], strict=True):
        ends = [3.0 * 0.7**t + sum(0.03 * s * 0.7**k for k, s in enumerate(p))
                for p in product((-1, 1), repeat=t)]  # fmt: skip
        assert gap == pytest.approx(np.square(ends).mean() / 2, rel=1e-12)
        assert ours == pytest.approx(gap, rel=1e-12)  # attained


def test_ascent_under_moving_weights(records: list[dict[str, Any]]) -> None:
    record = of(records, "drift")
    rng = np.random.default_rng([0, 41])
    rng.normal(size=(64, 2))
    rng.uniform()
    batch = drifting(rng, 160)
    curvature, peak = batch.curvature.numpy()[0], batch.peak.numpy()[0]
    weights, theta = batch.weights.numpy()[0], batch.start.numpy()[0]
    hessians = np.einsum("tm,mde->tde", weights, curvature)
    rate = 1 / max(np.linalg.eigvalsh(h)[-1] for h in hessians)
    gaps = []
    for w, hessian in zip(weights, hessians, strict=True):
        best = np.linalg.solve(hessian, np.einsum("m,mde,me->d", w, curvature, peak))
        gaps.append((theta - best) @ hessian @ (theta - best) / 2)
        theta = theta - rate * np.einsum("m,mde,me->d", w, curvature, theta - peak)
    np.testing.assert_allclose(record["gap"], np.array(gaps)[record["step"]], rtol=1e-6)


def test_moving_weights_are_ctwas() -> None:
    u = np.log([0.1, 0.1])
    for weights in ctwa_weights(20)[0].numpy():
        np.testing.assert_allclose(weights, np.exp(u), rtol=1e-13)
        y = np.array([[1, -0.6], [-0.6, 1]]) @ np.exp(u)
        u = u + 0.2 * np.maximum(np.array([0.4, 0.2]) - y, 0)


@pytest.fixture(scope="module")
def bandit() -> tuple[np.ndarray, np.ndarray, list[dict[str, Any]]]:
    rng = np.random.default_rng(7)
    logits, reward = rng.normal(scale=0.5, size=5), rng.random(5)
    below = (reward.max() - reward) / (reward.max() - reward.min())
    found = list(softmax_gaps(np.random.default_rng(7), 10))
    return np.exp(logits) / np.exp(logits).sum(), below, found


@pytest.mark.parametrize(("case", "step"), [("step 2/5", 0.4), ("step 1/L", 9 / math.sqrt(3))])
def test_plain_softmax_ascent(
    bandit: tuple[np.ndarray, np.ndarray, list[dict[str, Any]]], case: str, step: float
) -> None:
    start, below, found = bandit
    record, z, gaps, best = of(found, "softmax", case), np.log(start), [], []
    for _ in range(501):
        p = np.exp(z - z.max()) / np.exp(z - z.max()).sum()
        gaps.append(p @ below)
        best.append(p[below.argmin()])
        z = z + step * (np.diag(p) - np.outer(p, p)) @ -below
    t = np.array(record["step"])
    np.testing.assert_allclose(record["gap"], np.array(gaps)[t], rtol=1e-9)
    least = np.minimum.accumulate(best)[t - 1]
    if case == "step 2/5":
        np.testing.assert_allclose(record["bounds"]["classic"], 5 / (least**2 * t), rtol=1e-9)
    else:
        ours = 2 * math.sqrt(3) / 9 / (least**2 * t)
        np.testing.assert_allclose(record["bounds"]["ours"], ours, rtol=1e-9)


def test_tilts(bandit: tuple[np.ndarray, np.ndarray, list[dict[str, Any]]]) -> None:
    start, below, found = bandit
    record = of(found, "tilts")
    for t, gap, bound in zip(
        record["step"], record["gap"], record["bounds"]["classic"], strict=True
    ):
        mass = start * np.exp(-t * below)
        assert gap == pytest.approx(mass @ below / mass.sum(), rel=1e-12)
        assert bound == pytest.approx(mass @ below / start[below.argmin()], rel=1e-12)


def test_natural_steps_under_kl(
    bandit: tuple[np.ndarray, np.ndarray, list[dict[str, Any]]],
) -> None:
    start, below, found = bandit
    record, p = of(found, "KL"), start**8 / (start**8).sum()
    top = 0.2 * np.log(np.exp(-below / 0.2).mean())
    gaps = []
    for _ in range(7):
        gaps.append(top - (p @ -below - 0.2 * p @ np.log(5 * p)))
        p = p * np.exp(0.5 * (-below - 0.2 * np.log(5 * p)))
        p = p / p.sum()
    np.testing.assert_allclose(record["gap"], np.array(gaps)[record["step"]], rtol=1e-10)
    assert (np.array(record["bounds"]["ours"]) >= np.array(gaps)[record["step"]]).all()
