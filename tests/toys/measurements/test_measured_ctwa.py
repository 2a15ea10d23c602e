"""CTWA's portrait against a referee of plain NumPy: completions, their scores, and the rule u."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from recorded import assert_recorded
from scipy.optimize import minimize_scalar

from covlaw.theory.statements.ctwa._problems import drawn_targets, random_problems
from covlaw.toys.measurements import ctwa
from covlaw.toys.measurements.ctwa_ensemble import feasible_targets, spread

RECORD = Path(__file__).parents[3] / "figures" / "data" / "ladder" / "ctwa.jsonl"
STEP = 0.05
GOALS = {"inside": (0.75, 0.35), "outside": (0.95, 0.75)}
PROMPTS = (((1.3, 0.5), (0.5, 0.7)), ((0.7, -0.1), (-0.1, 1.3)))
EASE = ((2.0, -2.0), (-2.0, 2.0))


@pytest.fixture(scope="module")
def quick() -> list[dict[str, Any]]:
    return ctwa.measure(0, quick=True)


@pytest.fixture(scope="module")
def recorded() -> list[dict[str, Any]]:
    return [json.loads(line) for line in RECORD.read_text().splitlines()]


def completions() -> list[np.ndarray]:
    """Four equiprobable completions a prompt whose rewards have its covariance and mean."""
    roots = [np.sqrt(2) * np.linalg.cholesky(c).T for c in np.array(PROMPTS)]
    return [np.concatenate([r, -r]) + ease for r, ease in zip(roots, np.array(EASE), strict=True)]


def signals(weights: np.ndarray, signal: str) -> np.ndarray:
    """Mean over prompts of Cov(r_j, advantage): (S, 2), the advantage as each loss forms it."""
    rewards = np.stack(completions())
    score = rewards @ weights.T  # (P, K, S)
    centred = score - score.mean(1, keepdims=True)
    std = {
        "raw": 1.0,
        "grpo": score.std(1, keepdims=True),
        "whitened": score.reshape(-1, len(weights)).std(0),
        "pooled": np.sqrt(np.square(centred).mean((0, 1))),
    }[signal]
    own = rewards - rewards.mean(1, keepdims=True)
    return np.einsum("pkj,pks->sj", own, centred / std) / 8


def walk(share: np.ndarray, signal: str, goal: tuple[float, float], steps: int) -> list[np.ndarray]:
    u = np.log(0.4 * np.stack([1 - share, share], 1))
    path = [u]
    for _ in range(steps):
        y = signals(np.exp(u - (0 if signal == "raw" else u.max(1, keepdims=True))), signal)
        u = u + STEP * np.maximum(np.array(goal) - y, 0)
        path.append(u)
    return path


def of(records: list[dict[str, Any]], kind: str, **fields: Any) -> list[dict[str, Any]]:
    return [r for r in records if r["kind"] == kind and fields.items() <= r.items()]


def test_frontiers_are_covariances_of_advantages(recorded: list[dict[str, Any]]) -> None:
    for record in of(recorded, "frontier"):
        share = np.array(record["share"])
        y = signals(0.4 * np.stack([1 - share, share], 1), record["signal"])
        np.testing.assert_allclose(record["y"], y, atol=1e-13)
        missing = np.maximum(np.array(GOALS["inside"]) - y, 0)[1:-1]
        turn = STEP * (missing[:, 1] - missing[:, 0])
        np.testing.assert_allclose(record["turn_inside"][1:-1], turn, atol=1e-14)


def test_paths_follow_the_rule(quick: list[dict[str, Any]]) -> None:
    assert len(of(quick, "path")) == 4 * (3 + 1)
    for record in of(quick, "path"):
        goal = GOALS[record["target"]]
        path = walk(np.array([record["share"]]), record["signal"], goal, 40)
        np.testing.assert_allclose(
            record["log_weights"], [path[t][0] for t in record["step"]], atol=1e-12
        )


def test_starts_that_reach_the_target_are_counted(recorded: list[dict[str, Any]]) -> None:
    share = (np.arange(40) + 0.5) / 40
    for record in of(recorded, "starts"):
        goal = GOALS[record["target"]]
        end = walk(share, record["signal"], goal, record["steps"])[-1]
        met = (signals(np.exp(end), record["signal"]) >= 0.999 * np.array(goal)).all(1)
        assert (record["n"], record["reached"]) == (40, met.sum())


def test_only_what_no_weights_reach_has_a_floor_and_it_is_the_steepest(
    recorded: list[dict[str, Any]],
) -> None:
    for record in of(recorded, "path"):
        if record["signal"] in ("raw", "whitened"):
            assert record["floor"] is None
            continue
        least = slack(record["signal"], np.array(GOALS[record["target"]]))
        assert (record["floor"] is None) == (least > 0) == (record["target"] == "inside")
        if record["floor"]:
            assert record["floor"][1] == pytest.approx(-STEP * least, rel=1e-6)


def slack(signal: str, goal: np.ndarray) -> float:
    """Least of g(μ) − c·μ over the simplex: below 0 if and only if no weights reach c."""
    covariances = np.array(PROMPTS)
    seen = covariances if signal == "grpo" else covariances.mean(0, keepdims=True)

    def value(share: float) -> float:
        mu = np.array([1 - share, share])
        return float(np.sqrt(np.einsum("i,pij,j->p", mu, seen, mu)).mean() - goal @ mu)

    return float(minimize_scalar(value, bounds=(0, 1), options={"xatol": 1e-10}).fun)


def test_random_targets_are_met_as_often_as_recorded(recorded: list[dict[str, Any]]) -> None:
    """The same problems, followed with the covariances of global whitening written out."""
    rng = np.random.default_rng([0, 30])
    problems = spread(random_problems(rng, 100, 3, 3), 10.0)
    within, between = problems.within().numpy(), problems.between().numpy()
    np.testing.assert_allclose(np.trace(between, 0, 1, 2), 10 * np.trace(within, 0, 1, 2))
    unit = (problems.prompt_mass[..., None] * problems.deviations()).sum(1)
    goal = feasible_targets(problems, "whitened", drawn_targets(rng, unit), rng).numpy()
    u, step = -np.log(unit.numpy()), STEP / unit.numpy().mean(1, keepdims=True)

    def y(u: np.ndarray) -> np.ndarray:
        weights = np.exp(u - u.max(1, keepdims=True))
        std = np.sqrt(np.einsum("bi,bij,bj->b", weights, within + between, weights))
        return np.einsum("bij,bj->bi", within, weights) / std[:, None]

    met = np.zeros(100, dtype=bool)
    for _ in range(1500):
        met |= (y(u) >= 0.999 * goal).all(1)
        u = u + step * np.maximum(goal - y(u), 0)
    [record] = of(recorded, "ensemble", ratio=10.0, signal="whitened")
    assert (record["n"], record["reached"]) == (100, met.sum())


def test_targets_of_random_problems_are_feasible() -> None:
    rng = np.random.default_rng(5)
    problems = random_problems(rng, 6, 3, 2)
    shape = torch.ones(6, 3, dtype=torch.float64)
    goal = feasible_targets(problems, "pooled", shape, rng).numpy()
    trials = rng.dirichlet(np.ones(3), size=20_000)
    for matrix, wanted in zip(problems.within().numpy(), goal, strict=True):
        y = trials @ matrix / np.sqrt(np.einsum("si,ij,sj->s", trials, matrix, trials))[:, None]
        assert (y >= wanted).all(1).any()


def test_the_record_is_what_the_code_measures(recorded: list[dict[str, Any]]) -> None:
    again = ctwa.frontier("grpo", 61)
    assert_recorded(json.loads(json.dumps(again)), of(recorded, "frontier", signal="grpo")[0])
