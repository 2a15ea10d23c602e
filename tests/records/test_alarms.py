"""Alarms: counts, precision, recall and lead time on worked examples, and against plain loops."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from covlaw.records.alarms import certified_fall, count_alarms, lead_times
from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory.estimators.interference import Attainable


def column(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)[:, None]


def raised(*values: int) -> Tensor:
    return torch.tensor(values, dtype=torch.bool)[:, None]


BOX = Attainable(torch.zeros(1, dtype=torch.float64), torch.ones(1, dtype=torch.float64))


def test_counts_of_a_worked_example() -> None:
    change = column(0.1, -0.2, -0.1, 0.05, 0.0)
    found = count_alarms(raised(1, 1, 0, 0, 0), change)
    assert [float(x) for x in found] == pytest.approx([2, 2, 1, 0.3, 0.2])
    assert float(found.precision) == 0.5
    assert float(found.recall) == 0.5
    assert float(found.recall_by_size) == pytest.approx(2 / 3)


def test_falls_within_the_tolerance_are_none() -> None:
    found = count_alarms(raised(1, 1), column(-0.1, -0.3), tolerance=0.2)
    assert (int(found.alarms), int(found.falls), int(found.hits)) == (2, 1, 1)


def test_ratios_without_alarms_or_falls_are_undefined() -> None:
    found = count_alarms(raised(0, 0), column(0.1, 0.1))
    assert math.isnan(float(found.precision))
    assert math.isnan(float(found.recall))


@pytest.mark.parametrize(
    ("alarms", "lead"),
    [
        ((1, 0, 0, 0, 0), math.nan),  # before the peak: about another rise and fall
        ((0, 0, 1, 0, 0), 2.0),
        ((0, 0, 0, 1, 0), 1.0),
        ((1, 1, 1, 1, 1), 2.0),  # as early as the peak allows
        ((0, 0, 0, 0, 1), math.nan),  # too late
        ((0, 0, 0, 0, 0), math.nan),
    ],
)
def test_lead_time_counts_from_the_first_alarm_after_the_last_peak(
    alarms: tuple[int, ...], lead: float
) -> None:
    # peak after 2 steps, sacrificed (below .45) after 4
    path = column(0.5, 0.6, 0.8, 0.5, 0.3, 0.1)
    found = float(lead_times(path, raised(*alarms), BOX))
    assert found == lead or (math.isnan(found) and math.isnan(lead))


def test_nothing_sacrificed_has_no_lead_time() -> None:
    assert math.isnan(float(lead_times(column(0.5, 0.6, 0.49), raised(1, 1), BOX)))


@given(st.integers(0, 10**6), st.integers(1, 6), st.integers(1, 3))
def test_counts_by_plain_loops(seed: int, steps: int, objectives: int) -> None:
    rng = np.random.default_rng(seed)
    change = rng.integers(-3, 4, size=(steps, objectives)) / 4
    alarms = rng.integers(2, size=(steps, objectives)).astype(bool)
    found = count_alarms(torch.as_tensor(alarms), torch.as_tensor(change))
    for j in range(objectives):
        falls = [t for t in range(steps) if change[t, j] < 0]
        hits = [t for t in falls if alarms[t, j]]
        assert int(found.alarms[j]) == sum(alarms[:, j])
        assert (int(found.falls[j]), int(found.hits[j])) == (len(falls), len(hits))
        assert float(found.fallen_forecast[j]) == -sum(change[t, j] for t in hits)


def test_the_alarm_is_a_fall_beyond_z_errors() -> None:
    estimate = torch.tensor([-0.31, -0.29, 0.31], dtype=torch.float64)
    raised = certified_fall(estimate, torch.full_like(estimate, 0.1), 3.0)
    assert raised.tolist() == [True, False, False]


def test_an_unknown_error_raises_no_alarm() -> None:
    assert not certified_fall(torch.tensor([-1.0]), torch.tensor([torch.nan])).any()


def test_bad_input_is_named() -> None:
    with pytest.raises(CovlawError, match=r"z is -1"):
        certified_fall(torch.ones(1), torch.ones(1), -1)
    with pytest.raises(CovlawError, match=r"alarms \(2, 1\) of torch.float64"):
        count_alarms(column(1.0, 0.0), column(1.0, 0.0))
    with pytest.raises(CovlawError, match=r"changes are not finite"):
        count_alarms(raised(1), column(math.nan))
    with pytest.raises(CovlawError, match=r"alarms \(2, 1\) .* values \(2, 1\)"):
        lead_times(column(0.5, 0.4), raised(1, 1), BOX)
