"""CTWA's options: statistics of the batch, shares of the headroom, refusals, raw weights."""

from itertools import product

import numpy as np
import pytest
import torch
from frozen_rungs import EXACT_RUNGS, covariances, frozen_batch, rung_worlds
from torch import Tensor

from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.dynamics.ctwa_signals import SIGNALS
from covlaw.theory.estimators.advantages import group_advantage
from covlaw.theory.estimators.covariance import within_prompt_covariance
from covlaw.theory.estimators.headroom import headroom
from covlaw.theory.scalarizers import Batch, Observation, make_scalarizer
from covlaw.theory.scalarizers.ctwa import Ctwa, CtwaState
from covlaw.theory.statements.ctwa._std_rounding import gradient_error, mean_std_error, signal_error

NAMES = ["a", "b", "c"]
GEOMETRY = {"grpo": "mean_std", "pooled": "raw"}
NORMALISER = {"grpo": "grpo", "pooled": "pooled_within", "raw": "rloo"}


def sampled(seed: int = 0) -> Batch:
    rewards = torch.as_tensor(np.random.default_rng(seed).normal(size=(40, 3)))
    rewards[:, 1] -= rewards[:, 0]
    return Batch(rewards, torch.arange(40) // 8)


def crossed() -> Batch:
    """Four equally likely completions: r_1 = x, r_2 = 2x + y, x, y = ±1: C = [[1, 2], [2, 5]]."""
    x, y = (torch.tensor(v, dtype=torch.float64) for v in ([1, 1, -1, -1], [1, -1, 1, -1]))
    quarter = torch.full((4,), 0.25, dtype=torch.float64)
    return Batch(torch.stack([x, 2 * x + y], 1), torch.zeros(4).long(), quarter)


def run(scalarizer: Ctwa, batch: Batch, steps: int) -> tuple[CtwaState, Tensor]:
    """(state, weights) after so many batches, and no observation."""
    state = scalarizer.init()
    for _ in range(steps):
        state, signal = scalarizer.signal(state, batch)
        state = scalarizer.update(state, Observation())
    assert signal.weights is not None
    return state, signal.weights


# --- the statistic ------------------------------------------------------------------------------


@pytest.mark.parametrize("statistic", NORMALISER)
def test_the_statistic_is_the_unbiased_covariance_with_the_advantage_of_its_name(
    statistic: str,
) -> None:
    batch = sampled()
    scalarizer = make_scalarizer("ctwa", NAMES, statistic=statistic, target=0.2)
    assert scalarizer.after == frozenset()
    state, signal = scalarizer.signal(scalarizer.init(), batch)
    score = signal.score * (7 / 8 if statistic == "raw" else 1)  # RLOO is K/(K − 1) × centred
    advantage = group_advantage(score, batch.prompt, NORMALISER[statistic])
    expected = within_prompt_covariance(batch.rewards, advantage, batch.prompt).estimate
    assert ((state.covariance - expected).abs() <= rounding(64.0, 1024)).all()


def test_the_raw_statistic_is_right_on_average_over_all_samples() -> None:
    """T19, by enumeration: every draw of K = 3 of three completions, each with its probability."""
    mass = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
    rewards = torch.tensor([[0.0, 1], [1, 0], [2, 5]], dtype=torch.float64)
    scalarizer = make_scalarizer("ctwa", ["a", "b"], statistic="raw")
    mean = torch.zeros(2, dtype=torch.float64)
    for draw in product(range(3), repeat=3):
        chosen = torch.tensor(draw)
        state, _ = scalarizer.signal(
            scalarizer.init(), Batch(rewards[chosen], torch.zeros(3).long())
        )
        mean += mass[chosen].prod() * state.covariance
    centred = rewards - mass @ rewards
    exact = (centred.T * mass) @ centred @ torch.full((2,), 0.5, dtype=torch.float64)
    assert ((mean - exact).abs() <= rounding(50.0, 512)).all()


def test_a_batch_moves_the_weights_of_the_next_one_only() -> None:
    batch = sampled()
    scalarizer = make_scalarizer("ctwa", NAMES, statistic="grpo", target=5.0, step=1.0)
    moved, first = scalarizer.signal(scalarizer.init(), batch)
    assert first.weights is not None
    assert first.weights.unique().numel() == 1
    assert (moved.log_weights > 0).all()
    assert scalarizer.update(moved, Observation()) is moved


# --- targets ------------------------------------------------------------------------------------


@pytest.mark.parametrize("rung", EXACT_RUNGS)
@pytest.mark.parametrize("statistic", ["grpo", "pooled"])
def test_a_share_asks_for_that_share_of_what_weights_can_reach(rung: str, statistic: str) -> None:
    """On a frozen world the same as fixed targets α·t*·c, for which E1 holds."""
    for world in rung_worlds(rung, 3):
        found = covariances(world) if statistic == "grpo" else covariances(world).pooled()
        unit = found.mean_deviations()
        room, batch = headroom(found, unit), frozen_batch(world)
        options = {"statistic": statistic, "step": 0.1, "ema": 1.0}
        share = make_scalarizer("ctwa", world.names, share=0.6, target=unit.tolist(), **options)
        asked = (0.6 * room.factor * unit).tolist()
        fixed = make_scalarizer(
            "ctwa", world.names, target=asked, refuse_infeasible=True, **options
        )
        ends = [run(scalarizer, batch, 3) for scalarizer in (share, fixed)]
        # the same numbers, but for the order of multiplication
        assert ((ends[0][1] - ends[1][1]).abs() <= rounding(1.0, 256)).all()
        options = {"target": unit.tolist(), "geometry": GEOMETRY[statistic]}
        direct = make_scalarizer("covariance_mgda", world.names, **options)
        best = direct.signal(direct.init(), batch)[1].weights
        assert best is not None
        bundle = best / (best @ unit)
        gap = room.factor - room.lower + mean_std_error(found, bundle)
        error = signal_error(found, bundle) + gradient_error(found, bundle, gap) + gap * unit
        assert (SIGNALS["grpo"](found, best) >= room.lower * unit - error).all()


@pytest.mark.parametrize("statistic", ["grpo", "pooled"])
def test_targets_by_share_follow_the_headroom_down(statistic: str) -> None:
    """As rewards saturate t* falls with their std, so do the targets; fixed ones are overtaken."""
    batch = sampled()
    small = batch._replace(rewards=batch.rewards / 64)
    share = make_scalarizer("ctwa", NAMES, statistic=statistic, share=1.0, step=8.0)
    grown = [share.signal(share.init(), b)[0] for b in (batch, small)]
    # y, t*·c and so the missing part are of degree 1 in the rewards
    assert (grown[0].log_weights > 0).any()
    assert ((grown[0].log_weights / 64 - grown[1].log_weights).abs() <= rounding(4.0, 64)).all()
    assert ((grown[0].covariance / 64 - grown[1].covariance).abs() <= rounding(4.0, 64)).all()
    options = {"target": 0.01, "statistic": statistic, "refuse_infeasible": True}
    fixed = make_scalarizer("ctwa", NAMES, **options)
    fixed.signal(fixed.init(), batch)
    with pytest.raises(CovlawError, match="too demanding"):
        fixed.signal(fixed.init(), small)


def test_share_leaves_out_an_objective_that_does_not_vary() -> None:
    batch = sampled()
    batch.rewards[:, 2] = 1.0
    scalarizer = make_scalarizer("ctwa", NAMES, statistic="grpo", share=0.9, step=1.0)
    moved, _ = scalarizer.signal(scalarizer.init(), batch)
    assert (moved.log_weights[:2] > 0).any()
    still = batch._replace(rewards=torch.ones(40, 3).double())
    moved, _ = scalarizer.signal(scalarizer.init(), still)
    assert (moved.log_weights == 0).all()  # nothing can be gained: nothing is asked


def test_infeasible_targets_are_refused_by_the_name_of_their_bundle() -> None:
    """r_c = −r_a nearly: the bundle of both hardly varies, whatever b has to spare."""
    batch = sampled()
    batch.rewards[:, 2] = 0.05 * batch.rewards[:, 1] - batch.rewards[:, 0]
    scalarizer = make_scalarizer(
        "ctwa", NAMES, statistic="pooled", target=0.3, refuse_infeasible=True
    )
    with pytest.raises(CovlawError, match=r"too demanding.*from \d+% a, \d+% c; lower them") as e:
        scalarizer.signal(scalarizer.init(), batch)
    assert "% b" not in str(e.value)
    easy = make_scalarizer("ctwa", NAMES, statistic="pooled", target=1e-3, refuse_infeasible=True)
    easy.signal(easy.init(), batch)
    published = make_scalarizer("ctwa", NAMES, statistic="pooled", target=0.3)
    published.signal(published.init(), batch)  # not asked to refuse


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"statistic": "whitened"}, "choose from observed, grpo, pooled, raw"),
        ({"share": 0.5}, "share needs a statistic with a headroom, not 'observed'"),
        ({"refuse_infeasible": True, "statistic": "raw"}, "refuse_infeasible needs a statistic"),
        ({"share": 1.5, "statistic": "grpo"}, "share is 1.5"),
        ({"share": 0.5, "statistic": "grpo", "target": 0.0}, "share needs a target > 0"),
        ({"share": 0.5, "statistic": "grpo", "refuse_infeasible": True}, "leave refuse_inf"),
        ({"normalised": False, "cap": 710.0}, "cap is 710.0"),
    ],
)
def test_options_that_do_not_fit_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(CovlawError, match=message):
        make_scalarizer("ctwa", NAMES, **options)


def test_a_batch_that_is_not_finite_is_refused_and_named() -> None:
    batch = sampled()
    batch.rewards[3, 1] = torch.nan
    scalarizer = make_scalarizer("ctwa", NAMES, statistic="grpo")
    with pytest.raises(CovlawError, match="ctwa needs finite rewards"):
        scalarizer.signal(scalarizer.init(), batch)


# --- raw weights, normalised or not --------------------------------------------------------------


def test_raw_normalised_ctwa_can_rest_below_a_target_that_other_weights_meet() -> None:
    """C = [[1, 2], [2, 5]], c = (1.6, 1.6): (0, 1) has y = (2, 5); CTWA ends at (1, 0), y_1 = 1.

    With λ = (1 − t, t) y = (1 + t, 2 + 3t): at t = 1/2 the first is short, its weight rises, t
    falls, and so does y_1. (1, 0) is the KKT point of ½λ'Cλ − c·λ: c − Cλ = (0.6, −0.4).
    """
    matrix = torch.tensor([[1.0, 2], [2, 5]], dtype=torch.float64)
    target = torch.full((2,), 1.6, dtype=torch.float64)
    assert (matrix @ torch.tensor([0.0, 1]).double() >= target).all()
    scalarizer = make_scalarizer(
        "ctwa", ["a", "b"], target=1.6, step=0.5, ema=1.0, cap=40.0, statistic="raw"
    )
    state, weights = run(scalarizer, crossed(), 400)
    assert ((weights - torch.tensor([1.0, 0.0])).abs() <= 2 * torch.e ** torch.tensor(-40.0)).all()
    assert ((matrix @ weights - torch.tensor([1.0, 2.0])).abs() <= rounding(8.0, 64)).all()
    assert state.log_weights.tolist() == [40.0, 0.0]
    short = [float((run(scalarizer, crossed(), n)[0].covariance)[0]) for n in (1, 5, 20, 80)]
    assert short == sorted(short, reverse=True)


def test_the_rest_point_is_the_kkt_point_of_half_variance_less_targets() -> None:
    """Two objectives that oppose each other, targets that no normalised weights meet."""
    matrix = torch.tensor([[1.0, -0.5], [-0.5, 2.0]], dtype=torch.float64)
    target = torch.tensor([0.6, 0.5], dtype=torch.float64)
    root = torch.linalg.cholesky(matrix)
    x = torch.tensor([[1.0, 1], [1, -1], [-1, 1], [-1, -1]], dtype=torch.float64)
    batch = Batch(x @ root.T, torch.zeros(4).long(), torch.full((4,), 0.25).double())
    options = {"target": target.tolist(), "statistic": "raw", "ema": 1.0}
    _, weights = run(
        make_scalarizer("ctwa", ["a", "b"], step=0.3, cap=600.0, **options), batch, 2000
    )
    missing = target - matrix @ weights
    # minimise over the segment: f'(t) = 0 for λ = (1 − t, t)
    slope, curve = (
        (target[1] - target[0]) - (matrix[0, 1] - matrix[0, 0]),
        matrix[0, 0] + matrix[1, 1] - 2 * matrix[0, 1],
    )
    assert abs(weights[1] - slope / curve) <= rounding(4.0, 4096)
    assert abs(missing[0] - missing[1]) <= rounding(16.0, 8192)
    assert missing[0] > 0


def test_weights_that_are_not_normalised_reach_raw_targets_beyond_the_simplex() -> None:
    """T33: with c = (9, 9) no weights of sum 1 suffice (y_j ≤ 5); e^u grows until they do."""
    options = {"target": 9.0, "step": 0.01, "ema": 1.0, "statistic": "raw"}
    _, weights = run(
        make_scalarizer("ctwa", ["a", "b"], normalised=False, **options), crossed(), 600
    )
    matrix = torch.tensor([[1.0, 2], [2, 5]], dtype=torch.float64)
    assert (matrix @ weights >= 0.99 * 9).all()
    assert weights.sum() > 1
    _, shares = run(make_scalarizer("ctwa", ["a", "b"], **options), crossed(), 600)
    assert (matrix @ shares).max() < 9


def test_weights_that_are_not_normalised_never_overflow() -> None:
    options = {"target": 1e9, "step": 1e9, "cap": 700.0, "normalised": False}
    scalarizer = make_scalarizer("ctwa", NAMES, **options)
    state = scalarizer.init()
    for _ in range(5):
        state = scalarizer.update(state, Observation(torch.zeros(3)))
    _, signal = scalarizer.signal(state, sampled())
    assert torch.isfinite(signal.score).all()
