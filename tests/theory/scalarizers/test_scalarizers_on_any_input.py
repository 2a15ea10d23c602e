"""Every scalarizer, published and reference: nasty rewards, NaN, restored states, 1–8 names."""

from typing import Any

import numpy as np
import pytest
import torch

from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.scalarizers import SCALARIZERS, Batch, Observation, Scalarizer, make_scalarizer
from covlaw.theory.solvers.mean_std_programme import SHARPEST

WITH_REFERENCE = ("tchebycheff", "mgda", "gradnorm", "lagrangian", "dynamic", "pama")
FORMS = [(name, False) for name in SCALARIZERS] + [(name, True) for name in WITH_REFERENCE]
forms = pytest.mark.parametrize(("name", "reference"), FORMS)

HOMOGENEOUS = {"linear", "tchebycheff", "mgda", "pama", "upgrad", "nash_mtl"}
"""Scaling all rewards scales the score, at any scale."""


def build(name: str, reference: bool, count: int = 3, **options: Any) -> Scalarizer[Any]:
    names = [f"objective {j}" for j in range(count)]
    return make_scalarizer(name, names, **options, **({"reference": True} if reference else {}))


def batch(count: int = 3, scale: float = 1.0, seed: int = 0, duplicate: bool = False) -> Batch:
    """Small integers with ties, all optional fields at hand; the Gramian that of 5-d gradients."""
    rng = np.random.default_rng(seed)
    rewards = torch.as_tensor(rng.integers(-1, 3, size=(12, count)) * scale)
    gradients = torch.as_tensor(rng.normal(size=(count, 5)) * scale)
    if duplicate:
        rewards[:, -1], gradients[-1] = rewards[:, 0], gradients[0]
    mask = torch.arange(4) < torch.as_tensor(rng.integers(1, 5, size=(12, 1)))
    ratio = torch.as_tensor(rng.normal(size=(12, 4)) * 0.1)
    return Batch(
        rewards,
        torch.arange(12) // 4,
        gramian=gradients @ gradients.T,
        log_ratio_to_reference=ratio,
        mask=mask,
    )


def observation(count: int = 3, scale: float = 1.0, seed: int = 0) -> Observation:
    rng = np.random.default_rng(seed)
    covariance, values = (torch.as_tensor(rng.normal(size=count) * scale) for _ in range(2))
    return Observation(covariance, values, torch.as_tensor(rng.uniform(0.1, 1, size=count) * scale))


def run(scalarizer: Scalarizer[Any], steps: int, **kind: Any) -> tuple[torch.Tensor, Any]:
    state = scalarizer.init()
    seen = {k: v for k, v in kind.items() if k in ("count", "scale")}
    for step in range(steps):
        state, signal = scalarizer.signal(state, batch(**kind, seed=step))
        state = scalarizer.update(state, observation(**seen, seed=step))
    return signal.score, state


@forms
@pytest.mark.parametrize("count", range(1, 9))
def test_one_to_eight_objectives_give_finite_signals(
    name: str, reference: bool, count: int
) -> None:
    score, state = run(build(name, reference, count), 5, count=count)
    assert score.shape == (12,)
    assert torch.isfinite(score).all()
    assert not any(torch.isnan(t).any() for t in state)


def cast(fields: Any, dtype: torch.dtype) -> Any:
    """Its tensors of real numbers in another dtype, prompts and masks as they are."""
    return type(fields)(
        *(t.to(dtype) if t is not None and t.is_floating_point() else t for t in fields)
    )


@forms
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_any_dtype_gives_what_its_values_give_in_float64(
    name: str, reference: bool, dtype: torch.dtype
) -> None:
    """Both runs see the same numbers, so that nothing but the dtype can make a difference."""
    outcomes = []
    for own in (dtype, torch.float64):
        scalarizer = build(name, reference)
        state = scalarizer.init()
        for step in range(3):
            data = cast(cast(batch(seed=step), dtype), own)
            state, signal = scalarizer.signal(state, data)
            state = scalarizer.update(state, cast(cast(observation(seed=step), dtype), own))
        outcomes.append([t for t in (*signal, *state) if t is not None])
    for narrow, wide in zip(*outcomes, strict=True):
        assert narrow.dtype == wide.dtype
        assert torch.equal(narrow, wide)


@forms
def test_masses_of_any_dtype_are_what_they_are_in_float64(name: str, reference: bool) -> None:
    masses = {"mass": torch.tensor([0.125, 0.25, 0.5, 0.125] * 3)}
    masses["prompt_mass"] = torch.tensor([0.25, 0.25, 0.5])
    scalarizer, data, outcomes = build(name, reference), batch(), []
    for dtype in (torch.float32, torch.float64):
        given = data._replace(**{key: mass.to(dtype) for key, mass in masses.items()})
        signal = scalarizer.signal(scalarizer.init(), given)[1]
        outcomes.append([t for t in signal if t is not None])
    assert all(torch.equal(a, b) for a, b in zip(*outcomes, strict=True))


@forms
def test_whole_number_rewards_are_what_they_are_in_float64(name: str, reference: bool) -> None:
    scalarizer, data = build(name, reference), batch()
    whole = data._replace(rewards=data.rewards.to(torch.int64))
    one, other = (scalarizer.signal(scalarizer.init(), d)[1] for d in (data, whole))
    assert torch.equal(one.score, other.score)
    assert one.score.dtype == other.score.dtype


@forms
@pytest.mark.parametrize("scale", [1e-9, 1e9])
def test_rewards_of_any_scale_give_finite_signals(name: str, reference: bool, scale: float) -> None:
    score, state = run(build(name, reference), 20, scale=scale)
    assert torch.isfinite(score).all()
    assert not any(torch.isnan(t).any() for t in state)


@pytest.mark.parametrize("name", sorted(HOMOGENEOUS))
@pytest.mark.parametrize("scale", [1e-9, 1e9])
def test_scores_scale_with_the_rewards(name: str, scale: float) -> None:
    plain, scaled = (run(build(name, False), 4, scale=s)[0] for s in (1.0, scale))
    assert ((scaled / scale - plain).abs() <= rounding(4.0, 512)).all()


@forms
def test_states_restore_to_the_same_future(name: str, reference: bool) -> None:
    scalarizer = build(name, reference)
    _, state = run(scalarizer, 4)
    assert all(isinstance(t, torch.Tensor) for t in state)
    restored = type(state)(*(t.clone() for t in state))
    futures = []
    for start in (state, restored):
        moved, signal = scalarizer.signal(start, batch(seed=9))
        futures.append((signal.score, *scalarizer.update(moved, observation(seed=9))))
    assert all(torch.equal(a, b) for a, b in zip(*futures, strict=True))


@forms
def test_states_keep_their_shapes_and_are_not_changed_in_place(name: str, reference: bool) -> None:
    """Checkpoints compare shapes with a fresh state; a step leaves the state it was given."""
    scalarizer = build(name, reference)
    first = scalarizer.init()
    before = [t.clone() for t in first]
    _, last = run(scalarizer, 3)
    assert [t.shape for t in first] == [t.shape for t in last]
    assert [t.dtype for t in first] == [t.dtype for t in last]
    moved, _ = scalarizer.signal(first, batch())
    scalarizer.update(moved, observation())
    assert all(torch.equal(a, b) for a, b in zip(before, first, strict=True))


@pytest.mark.parametrize("name", sorted(set(SCALARIZERS) - {"linear", "ctwa"}))
def test_rewards_that_are_not_finite_are_refused_and_named(name: str) -> None:
    """Linear and CTWA keep no reward: there the advantage normalisation refuses them."""
    scalarizer, data = build(name, False), batch()
    data.rewards[3, 1] = torch.nan
    with pytest.raises(CovlawError, match=f"{name} needs finite rewards"):
        scalarizer.signal(scalarizer.init(), data)
    with pytest.raises(CovlawError, match=r"rewards has shape \(12, 2\), not \(12, 3\)"):
        scalarizer.signal(scalarizer.init(), batch()._replace(rewards=data.rewards[:, :2]))


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("lagrangian", "values"),
        ("dynamic_hypervolume", "values"),
        ("gradnorm", "losses"),
        ("famo", "losses"),
    ],
)
def test_observations_that_are_not_finite_are_refused(name: str, field: str) -> None:
    scalarizer = build(name, False)
    seen = observation()._replace(**{field: torch.tensor([0.1, torch.inf, 0.2])})
    with pytest.raises(CovlawError, match=f"{name} needs finite {field}"):
        scalarizer.update(scalarizer.init(), seen)


@pytest.mark.parametrize("name", ["gradnorm", "dynamic", "ctwa", "linear", "famo", "nash_mtl"])
def test_duplicated_objectives_get_equal_weights(name: str) -> None:
    scalarizer = build(name, False)
    state = scalarizer.init()
    for step in range(6):
        state, signal = scalarizer.signal(state, batch(duplicate=True, seed=step))
        seen = observation(seed=step)
        twins = (t if t is None else torch.cat([t[:2], t[:1]]) for t in seen)
        state = scalarizer.update(state, Observation(*twins))
    assert signal.weights is not None
    assert abs(signal.weights[0] - signal.weights[2]) <= rounding(1.0, 256)


@pytest.mark.parametrize("name", ["tchebycheff", "pama", "mgda"])
def test_a_duplicated_objective_changes_no_score(name: str) -> None:
    """max, min and the min-norm point do not count how often an objective is listed."""
    twice = batch(duplicate=True)
    gram = twice.gramian
    assert gram is not None
    once = twice._replace(rewards=twice.rewards[:, :2], gramian=gram[:2, :2])
    scores = []
    for count, data in ((3, twice), (2, once)):
        options = {"weights": [1.0] * count} if name == "tchebycheff" else {}
        scalarizer = build(name, False, count, **options)
        scores.append(scalarizer.signal(scalarizer.init(), data)[1].score)
    factor = 1.5 if name == "tchebycheff" else 1.0  # weights 1/3 each instead of 1/2
    assert ((factor * scores[0] - scores[1]).abs() <= rounding(8.0, 512)).all()


OPPOSED = ("mgda", "covariance_mgda", "nash_mtl", "upgrad", "gdpo", "linear")
"""Those whose weights cancel two objectives that are each other's negative, of equal size."""


@pytest.mark.parametrize("name", OPPOSED)
@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
def test_opposed_objectives_cancel(name: str, scale: float) -> None:
    """No step raises both: the signal vanishes instead of choosing a victim."""
    column = torch.tensor([1.0, -1, 2, 0, 0, -2], dtype=torch.float64) * scale
    gram = torch.tensor([[4.0, -4], [-4, 4]], dtype=torch.float64) * scale**2
    data = Batch(torch.stack([column, -column], 1), torch.arange(6) // 3, gramian=gram)
    scalarizer = build(name, False, 2)
    _, signal = scalarizer.signal(scalarizer.init(), data)
    allowed = 6 / SHARPEST + float(rounding(8.0, 512))
    size = 1.0 if name == "gdpo" else scale
    assert signal.score.abs().max() <= 2 * allowed * size


@pytest.mark.parametrize("statistic", ["grpo", "pooled", "raw"])
@pytest.mark.parametrize("count", range(1, 9))
@pytest.mark.parametrize("scale", [1e-9, 1e9])
def test_ctwas_statistics_take_any_scale_and_count(
    statistic: str, count: int, scale: float
) -> None:
    options = {} if statistic == "raw" else {"share": 0.5}
    scalarizer = build("ctwa", False, count, statistic=statistic, target=scale, **options)
    score, state = run(scalarizer, 4, count=count, scale=scale)
    assert torch.isfinite(score).all()
    assert all(torch.isfinite(t).all() for t in state)


@pytest.mark.parametrize("name", ["mgda", "gradnorm", "dynamic", "nash_mtl"])
def test_relabelled_objectives_give_the_same_score_by_gradients(name: str) -> None:
    order, states, scores = [2, 0, 1], [], []
    for relabelled in (False, True):
        scalarizer = build(name, False)
        state = scalarizer.init()
        for step in range(3):
            data, seen = batch(seed=step), observation(seed=step)
            if relabelled:
                gram = data.gramian
                assert gram is not None
                data = data._replace(rewards=data.rewards[:, order], gramian=gram[order][:, order])
                seen = Observation(*(None if t is None else t[order] for t in seen))
            state, signal = scalarizer.signal(state, data)
            state = scalarizer.update(state, seen)
        states.append(state)
        scores.append(signal.score)
    assert ((scores[0] - scores[1]).abs() <= rounding(8.0, 1024)).all()


@pytest.mark.parametrize("name", WITH_REFERENCE)
def test_the_reference_form_is_another_algorithm(name: str) -> None:
    outcomes = []
    for reference in (False, True):
        # MGDA's solver goes wrong on gradients of unequal length
        spread = torch.tensor([1e3, 10.0, 1.0], dtype=torch.float64)
        scalarizer = build(name, reference)
        state = scalarizer.init()
        for step in range(3):
            data = batch(seed=step)
            assert data.gramian is not None
            data = data._replace(gramian=data.gramian * spread[:, None] * spread)
            state, signal = scalarizer.signal(state, data)
            state = scalarizer.update(state, observation(seed=step))
        outcomes.append(signal.score if signal.advantage is None else signal.advantage)
    first, second = outcomes
    assert first.shape != second.shape or (first - second).abs().max() > 1e-3
