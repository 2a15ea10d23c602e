"""Room for targets and group sizes for a precision, against what is known of Gaussian rewards."""

from math import inf, nan

import numpy as np
import pytest
import torch
from made_logs import rollouts

from covlaw.plugins.inspection.inspection import inspect_log
from covlaw.plugins.logs.log import Log
from covlaw.plugins.logs.read import read_log
from covlaw.theory._numerics.errors import CovlawError


def gaussians(seed: int, groups: int, size: int, differ: float) -> Log:
    """Reward and signal are unit normals whose covariance is ±`differ`, a prompt each way."""
    rng = np.random.default_rng(seed)
    sign = np.repeat(np.where(np.arange(groups) % 2, 1.0, -1.0), size)
    reward = rng.normal(size=groups * size)
    signal = differ * sign * reward + (1 - differ**2) ** 0.5 * rng.normal(size=groups * size)
    prompt = torch.as_tensor(np.repeat(np.arange(groups), size))
    return Log(
        torch.zeros_like(prompt),
        prompt,
        torch.as_tensor(reward)[:, None],
        ("r",),
        tuple(range(groups)),
        torch.as_tensor(signal),
    )


@pytest.mark.parametrize(("differ", "size"), [(0.0, 4), (0.5, 8)])
def test_groups_for_a_precision_are_those_of_gaussian_rewards(differ: float, size: int) -> None:
    """T21 in closed form: b = c², and a = p = 1 + c², so that Var Ĉ = c² + (1 + c²)/(K − 1)."""
    groups = 4000
    for wanted in (6, 20):
        variance = differ**2 + (1 + differ**2) / (wanted - 1)
        precision = (variance / groups) ** 0.5
        log = gaussians(0, groups, size, differ)
        found = inspect_log(log, precision=precision)
        assert found.needed is not None
        (count,) = found.needed.completions
        assert count == pytest.approx(wanted, rel=0.2)
        assert f"completions a group: r {count}" in " ".join(found.headline)


def test_groups_of_the_size_needed_have_the_precision_asked_for() -> None:
    log = gaussians(1, 2000, 4, 0.0)
    found = inspect_log(log, precision=0.01)
    assert found.needed is not None
    (count,) = found.needed.completions
    assert count is not None
    error = float(inspect_log(gaussians(2, 2000, count, 0.0)).scan.laws[0].standard_error[0])
    # the error of a standard error over 2,000 groups is 1/√4000 of it, more for heavy tails
    assert error == pytest.approx(0.01, rel=0.15)
    smaller = gaussians(2, 2000, count // 2, 0.0)
    assert float(inspect_log(smaller).scan.laws[0].standard_error[0]) > 0.0125


def test_where_prompts_differ_too_much_no_size_is_enough() -> None:
    found = inspect_log(gaussians(0, 200, 8, 0.9), precision=0.01)
    assert found.needed is not None
    assert found.needed.completions == [None]
    assert "r no size is enough" in " ".join(found.headline)


def test_headroom_is_where_targets_stop_to_fit() -> None:
    """One reward of two values, half of each: the most that its std-normalised law can be is ½."""
    given = {"prompt": np.repeat(np.arange(20), 8), "r": np.tile([0.0, 1.0], 80)}
    log = read_log(given)
    found = inspect_log(log, targets=[0.25])
    assert found.room is not None
    assert float(found.room.found.factor) == pytest.approx(2.0, rel=0.1)
    assert "targets are reachable" in " ".join(found.headline)
    assert "too demanding" in " ".join(inspect_log(log, targets=[0.75]).headline)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"targets": [0.1]}, "accuracy, format, brief: give one number ≥ 0 each"),
        ({"targets": [0.1, -0.1, 0.0]}, "give one number ≥ 0"),
        ({"targets": [0.1, nan, 0.0]}, "give one number ≥ 0"),
        ({"targets": [0.0, 0.0, 0.0]}, "all targets are 0"),
        ({"precision": 0.0}, "give a standard error above 0"),
        ({"precision": inf}, "give a standard error above 0"),
    ],
)
def test_what_cannot_be_asked_is_named(asked: dict[str, object], words: str) -> None:
    with pytest.raises(CovlawError, match=words):
        inspect_log(read_log(rollouts(steps=1)), **asked)  # type: ignore[arg-type]
