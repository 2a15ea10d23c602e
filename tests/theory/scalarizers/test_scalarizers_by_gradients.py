"""MGDA, GradNorm and dynamic weighting: what they do with the Gramian of this batch's gradients."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.scalarizers import Batch, Observation, Scalarizer, make_scalarizer
from covlaw.theory.scalarizers.mgda import projected_gradient
from covlaw.theory.solvers.min_norm import min_norm_point


def names(count: int) -> list[str]:
    return [f"objective {j}" for j in range(count)]


def batch(gram: Tensor) -> Batch:
    return Batch(torch.eye(len(gram)).double(), torch.zeros(len(gram)).long(), gramian=gram)


def gramian(rows: list[list[float]]) -> Tensor:
    gradients = torch.tensor(rows, dtype=torch.float64)
    return gradients @ gradients.T


def weights(scalarizer: Scalarizer[Any], gram: Tensor, steps: int = 1) -> Tensor:
    state = scalarizer.init()
    for _ in range(steps):
        state, signal = scalarizer.signal(state, batch(gram))
    assert signal.weights is not None
    assert torch.equal(signal.score, signal.weights)  # unit rewards
    return signal.weights


def test_mgda_of_orthogonal_gradients_weighs_by_inverse_squares() -> None:
    found = weights(make_scalarizer("mgda", names(3)), gramian([[1, 0, 0], [0, 2, 0], [0, 0, 4]]))
    expected = torch.tensor([16, 4, 1], dtype=torch.float64) / 21
    assert ((found - expected).abs() <= rounding(1.0, 64)).all()


def test_mgda_of_opposed_gradients_cancels_them() -> None:
    gram = gramian([[3, 0], [-1, 0]])
    found = weights(make_scalarizer("mgda", names(2)), gram)
    assert ((found - torch.tensor([0.25, 0.75])).abs() <= rounding(1.0, 64)).all()
    assert found @ gram @ found <= rounding(9.0, 64)


def test_mgda_reference_agrees_on_gradients_of_equal_length_and_fails_on_a_spread_of_1e3() -> None:
    equal = gramian([[1, 0, 0], [0, 1, 0], [0, 0.6, 0.8]])
    # error contracts by 1 − 2μ/L a step, far below rounding after 200
    exact = min_norm_point(equal).value
    found = weights(make_scalarizer("mgda", names(3), reference=True), equal)
    assert found @ equal @ found - exact <= rounding(1.0, 4096)
    spread = gramian([[1000, 0, 0], [0, 10, 0], [0, 0, 1]])
    found = weights(make_scalarizer("mgda", names(3), reference=True), spread)
    assert (found @ spread @ found).sqrt() > 1.2 * min_norm_point(spread).value.sqrt()


@pytest.mark.parametrize(
    ("gradients", "first"),
    [
        ([[3, 0], [0, 1]], 0.1),  # ⟨g2 − g1, g2⟩/|g1 − g2|² = 1/10
        ([[1, 0], [4, 3]], 1.0),  # the first is the min-norm point itself
        ([[2, 1], [1, 0.5]], 0.0),
        ([[1, 1], [1, 1]], 0.5),
    ],
)
def test_mgda_reference_of_two_objectives_is_closed_form(
    gradients: list[list[float]], first: float
) -> None:
    """Where 200 steps would not do: a spread of 1e3."""
    found = weights(make_scalarizer("mgda", names(2), reference=True), gramian(gradients))
    assert found.tolist() == pytest.approx([first, 1 - first])
    spread = gramian([[1000, 1], [0, 1]])
    found = weights(make_scalarizer("mgda", names(2), reference=True), spread)
    assert found @ spread @ found == pytest.approx(float(min_norm_point(spread).value))


def test_mgda_reference_takes_200_longest_steps() -> None:
    """On λ₁² + (1−λ₁)² a step of 2/L overshoots to the mirror image: a cycle of two."""
    gram = torch.eye(2, dtype=torch.float64)
    start = torch.tensor([0.6, 0.4], dtype=torch.float64)
    once, twice = (projected_gradient(gram, start, n) for n in (1, 2))
    assert ((once - start.flip(0)).abs() <= rounding(1.0, 32)).all()
    assert ((twice - start).abs() <= rounding(1.0, 64)).all()
    assert ((projected_gradient(gram, start) - start).abs() <= rounding(1.0, 8192)).all()


@pytest.mark.parametrize("scale", [1e-12, 1e-6, 1.0, 1e6, 1e12])
def test_weights_do_not_depend_on_the_scale_of_the_gradients(scale: float) -> None:
    gram = gramian([[2, 1, 0], [-1, 1, 1], [0, -2, 1]])
    for name, options in (
        ("mgda", {}),
        ("gradnorm", {"alpha": 0.0}),
        ("mgda", {"reference": True}),
    ):
        steps = 30 if name == "gradnorm" else 1
        found = [
            weights(make_scalarizer(name, names(3), **options), g, steps)
            for g in (gram, scale**2 * gram)
        ]
        assert ((found[0] - found[1]).abs() <= rounding(1.0, 4096)).all()


def test_gradnorm_balances_the_gradients_from_any_spread() -> None:
    norm = torch.tensor([1e-6, 1.0, 1e6], dtype=torch.float64)
    gram = torch.diag(norm.square())
    step = 0.1
    found = weights(
        make_scalarizer("gradnorm", names(3), alpha=0.0, step=step), gram, 320
    )  # 27.6/step + some
    length = (found * norm).log()
    assert length.max() - length.min() <= 2 * step * math.exp(4 * step)
    assert abs(found.sum() - 1) <= rounding(1.0, 8)


def test_gradnorm_gives_more_to_the_objective_that_lags() -> None:
    gram = torch.eye(2, dtype=torch.float64)
    scalarizer = make_scalarizer("gradnorm", names(2), alpha=1.5, step=0.05)
    state = scalarizer.init()
    losses = [torch.tensor(pair, dtype=torch.float64) for pair in ((1.0, 1.0), (0.5, 1.0))]
    for seen in losses:
        state, _ = scalarizer.signal(state, batch(gram))
        state = scalarizer.update(state, Observation(losses=seen))
    assert state.first.tolist() == [1.0, 1.0]
    for _ in range(200):
        state, signal = scalarizer.signal(state, batch(gram))
    assert signal.weights is not None
    ratio = (2 / 3) ** 1.5 / (4 / 3) ** 1.5  # targets Ḡ·p^α, p = L/L(0) over its mean
    assert abs(math.log(signal.weights[0] / signal.weights[1]) - math.log(ratio)) <= 0.2


def test_gradnorm_leaves_an_objective_without_gradient_its_share() -> None:
    gram = torch.diag(torch.tensor([0.0, 1.0, 100.0], dtype=torch.float64))
    found = weights(make_scalarizer("gradnorm", names(3), alpha=0.0), gram, 200)
    assert abs(found[0] - 1 / 3) <= rounding(1.0, 8192)
    dead = torch.zeros(3, 3, dtype=torch.float64)
    assert (
        (weights(make_scalarizer("gradnorm", names(3), alpha=0.0), dead, 5) - 1 / 3).abs() < 1e-15
    ).all()


def test_gradnorm_published_refuses_losses_that_are_not_positive() -> None:
    scalarizer = make_scalarizer("gradnorm", names(2))
    with pytest.raises(CovlawError, match=r"losses > 0, got .*set alpha to 0"):
        scalarizer.update(scalarizer.init(), Observation(losses=torch.tensor([0.1, -0.2])))
    with pytest.raises(CovlawError, match="needs losses after each step"):
        scalarizer.update(scalarizer.init(), Observation())
    free = make_scalarizer("gradnorm", names(2), alpha=0.0)
    start = free.init()
    assert free.update(start, Observation()) is start
    assert free.after == frozenset()


def test_gradnorm_reference_hides_nan_targets_by_not_moving() -> None:
    scalarizer = make_scalarizer("gradnorm", names(3), reference=True)
    gram = torch.diag(torch.tensor([1.0, 4.0, 9.0], dtype=torch.float64))
    state = scalarizer.init()
    for losses in ([0.1, 0.2, 0.3], [-0.1, 0.2, 0.6]):  # a policy-gradient loss that changed sign
        state = scalarizer.update(state, Observation(losses=torch.tensor(losses).double()))
    moved, _ = scalarizer.signal(state, batch(gram))
    pace = state.latest / state.first
    assert torch.isnan((pace / pace.mean()) ** 1.5).tolist() == [True, False, False]
    lengths = state.coordinates * torch.tensor([1.0, 2.0, 3.0])
    target = lengths.mean() * (pace / pace.mean()) ** 1.5
    raw = state.coordinates - 0.025 * (lengths - target).sign().nan_to_num(0.0) * torch.tensor(
        [1.0, 2.0, 3.0]
    )
    assert torch.equal(moved.coordinates, raw / raw.sum())


def test_gradnorm_reference_weights_can_turn_negative_and_ours_cannot() -> None:
    gram = torch.diag(torch.tensor([1.0, 1e4], dtype=torch.float64))
    found = [
        weights(make_scalarizer("gradnorm", names(2), alpha=0.0, reference=r), gram, 2)
        for r in (0, 1)
    ]
    assert (found[0] > 0).all()
    assert (found[1] < 0).any()


def test_dynamic_multiplies_by_the_exponential_of_the_row_sums() -> None:
    gram = gramian([[1, 0], [-2, 0.5]])
    found = weights(make_scalarizer("dynamic", names(2), step=0.3, weights=[1, 3]), gram, 2)
    influence = gram.sum(1)
    raw = torch.tensor([0.25, 0.75]) * torch.exp(0.3 * 2 * influence)
    assert ((found - raw / raw.sum()).abs() <= rounding(1.0, 256)).all()


def test_dynamic_never_overflows() -> None:
    scalarizer = make_scalarizer("dynamic", names(2), step=1.0)
    found = weights(scalarizer, 1e6 * gramian([[1, 0], [-2, 0.5]]), 1000)
    assert found.tolist() == [0.0, 1.0]


def test_dynamic_reference_uses_the_learning_rate_twice_and_stands_still() -> None:
    gram = gramian([[1, 0], [0, 0.5]])
    moved = (
        weights(make_scalarizer("dynamic", names(2), step=1e-6, reference=True), gram, 1000) - 0.5
    )
    published = weights(make_scalarizer("dynamic", names(2)), gram, 1) - 0.5
    # 1000 steps of 1e-12/1e-5·I_j, against one of 1e-6/1e-5·I_j
    assert abs(moved[0] - 1000 * 1e-7 * 0.75 / 4) <= 1e-8
    assert published[0] > 100 * moved[0]


def test_a_gramian_is_asked_for_by_name() -> None:
    for name in ("mgda", "gradnorm", "dynamic"):
        scalarizer = make_scalarizer(name, names(2))
        assert "gramian" in scalarizer.before
        data = batch(torch.eye(2).double())
        with pytest.raises(CovlawError, match=f"{name} needs the gramian of the gradients"):
            scalarizer.signal(scalarizer.init(), data._replace(gramian=None))
        with pytest.raises(CovlawError, match=r"has shape \(3, 3\), not \(2, 2\)"):
            scalarizer.signal(scalarizer.init(), data._replace(gramian=torch.eye(3)))
        broken = torch.full((2, 2), torch.nan)
        with pytest.raises(CovlawError, match="needs finite the gramian"):
            scalarizer.signal(scalarizer.init(), data._replace(gramian=broken))


def test_a_badly_scaled_gramian_can_leave_the_reference_in_a_cycle_of_two() -> None:
    rng, equal = np.random.default_rng(0), torch.full((3,), 1 / 3, dtype=torch.float64)

    def cycles() -> bool:
        rows = torch.as_tensor(rng.normal(size=(3, 4)) * 10 ** rng.uniform(0, 2, size=(3, 1)))
        ends = [projected_gradient(rows @ rows.T, equal, n) for n in (200, 201, 202)]
        far, back = (float((ends[0] - end).abs().max()) for end in ends[1:])
        return far > 1e-6 and back < far / 100

    assert any(cycles() for _ in range(200))
