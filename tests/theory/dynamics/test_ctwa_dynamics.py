"""CTWA's path: signals against enumeration, the scalarizer's own rule, and THEORY's examples."""

from itertools import islice

import numpy as np
import pytest
import torch

from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory.dynamics.ctwa_bounds import grpo_step_limit, raw_step_limit, raw_weight_bound
from covlaw.theory.dynamics.ctwa_dynamics import (
    Controller,
    ctwa_path,
    observed,
    run_ctwa,
    uniform_start,
)
from covlaw.theory.dynamics.ctwa_signals import SIGNALS, mean_std, whitened_signal
from covlaw.theory.estimators.covariance import within_prompt_covariance
from covlaw.theory.estimators.headroom import headroom
from covlaw.theory.estimators.prompt_covariances import PromptCovariances, prompt_covariances
from covlaw.theory.estimators.rank_condition import WEAKER, rank_condition
from covlaw.theory.scalarizers import Observation, make_scalarizer
from covlaw.theory.statements.ctwa._bundles_and_weights import full_rank
from covlaw.theory.statements.ctwa._problems import (
    counterexample,
    draw_problems,
    one_prompt,
    random_problems,
)
from covlaw.theory.statements.ctwa._whitening_examples import example, example_targets
from covlaw.theory.statements.ctwa.slow_running_means_overshoot import MONOTONE, overshoot, peak

RAW_EXAMPLE = one_prompt([[1.0, -0.9], [-0.9, 1.0]])


def vector(*values: float) -> torch.Tensor:
    return torch.tensor([values], dtype=torch.float64)


def rollouts(seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Rewards, prompt, mass and prompt mass of three prompts with five completions each."""
    rng = np.random.default_rng(seed)
    mass = torch.as_tensor(rng.dirichlet(np.ones(5), size=3).ravel())
    rewards = torch.as_tensor(rng.normal(size=(15, 3)))
    outer = torch.as_tensor(rng.dirichlet(np.ones(3)))
    return rewards, torch.arange(3).repeat_interleave(5), mass, outer


def advantage(score: np.ndarray, mass: np.ndarray, outer: np.ndarray, name: str) -> np.ndarray:
    """The advantage itself, (3, 5), from plain moments."""
    mean = (mass * score).sum(1, keepdims=True)
    centred = score - mean
    own = (mass * centred**2).sum(1, keepdims=True)
    overall = (outer[:, None] * mass * score).sum()
    scales = {
        "raw": 1.0,
        "grpo": np.sqrt(own),
        "whitened": np.sqrt((outer[:, None] * mass * (score - overall) ** 2).sum()),
        "pooled": np.sqrt((outer * own[:, 0]).sum()),
    }
    return np.asarray(centred / scales[name])


@pytest.mark.parametrize("name", SIGNALS)
@pytest.mark.parametrize("seed", [0, 1])
def test_signals_are_covariances_with_the_advantage(name: str, seed: int) -> None:
    rewards, prompt, mass, outer = rollouts(seed)
    weights = torch.tensor([0.7, 0.2, 1.3], dtype=torch.float64)
    table = (a.numpy() for a in ((rewards @ weights).reshape(3, 5), mass.reshape(3, 5), outer))
    signal = torch.as_tensor(advantage(*table, name).ravel())
    expected = within_prompt_covariance(rewards, signal, prompt, mass, outer).estimate
    found = SIGNALS[name](prompt_covariances(rewards, prompt, mass, outer), weights)
    torch.testing.assert_close(found, expected)


def test_the_path_is_the_scalarizers_rule() -> None:
    problem, c = random_problems(np.random.default_rng(0), 1, 3, 2), [0.4, 0.5, 0.3]
    scalarizer = make_scalarizer("ctwa", ["a", "b", "c"], target=c, step=0.3, ema=0.2)
    state = scalarizer.init()
    path = ctwa_path(problem, vector(*c), uniform_start(problem), Controller("grpo", 0.3, 0.2))
    for expected in islice(path, 20):
        torch.testing.assert_close(state.log_weights, expected.log_weights[0])
        y = SIGNALS["grpo"](problem, torch.softmax(state.log_weights, 0)[None])[0]
        state = scalarizer.update(state, Observation(covariance=y))


def test_the_raw_example_converges_for_small_steps() -> None:
    start, c = vector(0.0, 0.0), vector(0.5, 0.4)
    out = run_ctwa(RAW_EXAMPLE, c, start, Controller("raw", 0.3), 4000, 1e-5)
    assert out.reached.item()
    assert out.final.log_weights.exp()[0].tolist() == pytest.approx([4.526, 4.474], abs=0.005)


def test_the_raw_example_explodes_with_step_one() -> None:
    controller = Controller("raw", 1.0)
    for low in (-1.0, 0.0, 1.0):
        out = run_ctwa(RAW_EXAMPLE, vector(0.5, 0.4), vector(low, low), controller, 20)
        assert out.diverged.item()
        assert out.steps <= 17


def test_the_raw_example_settles_at_an_inflated_point_with_half_the_step() -> None:
    c, start = vector(0.5, 0.4), vector(0.0, 0.0)
    out = run_ctwa(RAW_EXAMPLE, c, start, Controller("raw", 0.5), 4000, 1e-5)
    assert out.reached.item()
    assert out.final.log_weights.exp().sum().item() > 1.02 * (4.526 + 4.474)


def test_the_step_condition_is_conservative_on_the_example() -> None:
    within, one = RAW_EXAMPLE.within(), vector(1.0, 1.0)
    limit = raw_step_limit(within, vector(0.5, 0.4), one).item()
    bound = raw_weight_bound(within, vector(0.5, 0.4), one).item()
    reach = 0.5 + 0.9 * bound
    assert limit * 1.9 * bound * np.exp(limit * reach) == pytest.approx(1.0)
    assert limit < 0.3 / 10


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
def test_grpo_ctwa_reaches_90_percent_and_never_110(scale: float) -> None:
    problems = full_rank(next(draw_problems(np.random.default_rng(0), 32)))
    problems = PromptCovariances(
        problems.matrices * scale**2, problems.prompt_mass, problems.means * scale, problems.noise
    )
    shape = problems.mean_deviations()
    room, start = headroom(problems, shape), uniform_start(problems)
    controller = Controller("grpo", 0.05 / scale)
    below = run_ctwa(problems, 0.9 * room.factor[:, None] * shape, start, controller, 3000, 1e-3)
    above = run_ctwa(problems, 1.1 * room.factor[:, None] * shape, start, controller, 300)
    assert bool(below.reached.all())
    assert not bool(above.reached.any())


def test_without_rank_ctwa_chatters_and_its_weights_grow() -> None:
    for step in (0.1, 0.02):
        controller, c = Controller("grpo", step), vector(0.1, 0.5)
        steps = int(30 / step)
        early = run_ctwa(counterexample(), c, vector(0.0, 0.0), controller, steps).final
        late = run_ctwa(counterexample(), c, vector(0.0, 0.0), controller, 2 * steps).final
        assert late.log_weights.amin().item() > early.log_weights.amin().item() + 0.1


def test_the_whitened_example_falls_towards_its_limit() -> None:
    equal = whitened_signal(example(), vector(1.0, 1.0))[0].tolist()
    good = whitened_signal(example(), vector(0.05, 0.95))[0].tolist()
    assert equal == pytest.approx([0.4, 0.6])
    assert [round(v, 3) for v in good] == [0.716, 1.396]
    start, controller = vector(0.0, 0.0), Controller("whitened", 0.1)
    shares = []
    for steps in (2000, 4000):
        end = run_ctwa(example(), example_targets(), start, controller, steps)
        assert not end.reached.item()
        shares.append(1 - torch.softmax(end.final.log_weights, 1)[0, 0].item())
    assert end.final.signal[0].tolist() == pytest.approx([1 / 21**0.5] * 2, rel=0.03)
    assert shares[0] / shares[1] == pytest.approx(2.0, rel=0.1)  # as 1/t
    assert run_ctwa(
        example(), example_targets(), start, Controller("pooled", 0.1), 1
    ).reached.item()


def test_whitened_feasibility_is_a_quadratic_programme() -> None:
    cvxpy = pytest.importorskip("cvxpy")
    problem = example()
    within = problem.within()[0].numpy()
    total = (problem.within() + problem.between())[0].numpy()
    share = torch.linspace(0, 1, 20_001, dtype=torch.float64)[1:-1]
    reach = whitened_signal(problem, torch.stack([share, 1 - share], 1)[:, None])
    for size in (0.5, 0.7, 0.72, 0.8):
        weights = cvxpy.Variable(2, nonneg=True)
        cost = cvxpy.quad_form(weights, cvxpy.psd_wrap(total))
        programme = cvxpy.Problem(cvxpy.Minimize(cost), [within @ weights >= size])
        programme.solve(solver="CLARABEL")
        feasible = bool((reach >= size).all(-1).any())
        assert (programme.value <= 1) == feasible


def test_scale_free_paths_do_not_overflow() -> None:
    for name in ("grpo", "whitened", "pooled"):
        u = vector(5000.0, 4999.0)
        shifted = observed(example(), u, name)
        torch.testing.assert_close(shifted, observed(example(), u - 5000, name))
        assert bool(torch.isfinite(shifted).all())


def test_grpo_step_limit_meets_its_equation() -> None:
    problems = random_problems(np.random.default_rng(0), 5, 3, 2)
    c = 0.3 * problems.mean_deviations()
    limit = grpo_step_limit(problems, c)
    smaller = grpo_step_limit(problems, 2 * c)
    assert bool((smaller < limit).all())
    assert grpo_step_limit(counterexample(), vector(0.1, 0.5)).item() == 0


@pytest.mark.parametrize(
    ("kappa", "factor", "digits"), [(0.3, 1.0, 3), (1, 1.20, 2), (3, 2.1, 1), (10, 5.0, 1)]
)
def test_overshoot_factors(kappa: float, factor: float, digits: int) -> None:
    assert round(overshoot(torch.tensor([kappa])).item(), digits) == factor


def test_no_overshoot_up_to_a_quarter() -> None:
    kappas = torch.tensor([0.075, 0.2, MONOTONE], dtype=torch.float64)
    assert overshoot(kappas).tolist() == [1.0, 1.0, 1.0]
    problem = PromptCovariances(
        torch.ones(3, 1, 1, 1, dtype=torch.float64),
        torch.ones(3, 1, dtype=torch.float64),
        *(torch.zeros(3, 1, 1, dtype=torch.float64),) * 2,
    )
    c, lag = torch.full((3, 1), 10.0, dtype=torch.float64), 1 / 64
    path = ctwa_path(problem, c, torch.zeros_like(c), Controller("raw", kappas * lag / 10, lag))
    assert all(bool((state.signal <= 10).all()) for state in islice(path, 8000))
    just_beyond = peak(torch.tensor([0.6], dtype=torch.float64), torch.ones(1), 1 / 64)
    assert just_beyond.item() > 1.01


@pytest.mark.parametrize(
    ("signal", "step", "ema"),
    [("rloo", 0.1, 1.0), ("raw", 0.0, 1.0), ("raw", 0.1, 0.0), ("raw", 0.1, 1.5)],
)
def test_bad_controllers_are_refused(signal: str, step: float, ema: float) -> None:
    with pytest.raises(CovlawError):
        Controller(signal, step, ema)


def test_bad_responses_are_refused() -> None:
    with pytest.raises(CovlawError, match="response"):
        overshoot(torch.tensor([0.0]))


def test_mean_std_ignores_prompts_without_variance() -> None:
    rewards = torch.tensor([[1e8, 1e8], [1e8, 1e8], [0.0, 1.0], [1.0, 1.0]])
    found = prompt_covariances(rewards, torch.tensor([0, 0, 1, 1]), torch.full((4,), 0.5))
    assert mean_std(found, torch.ones(2, dtype=torch.float64)).item() == pytest.approx(0.25)


def test_objectives_constant_in_some_prompts_are_reached_below_the_supremum() -> None:
    problems = random_problems(np.random.default_rng(0), 24, 3, 2)
    matrices = problems.matrices.clone()
    matrices[:, 0, 0, :] = matrices[:, 0, :, 0] = 0.0  # the first objective never varies there
    problems = problems._replace(matrices=matrices)
    assert bool((rank_condition(problems)[:, 0] == WEAKER).all())
    shape = problems.mean_deviations()
    goal = 0.95 * headroom(problems, shape).lower[:, None] * shape
    controller = Controller("grpo", 0.1)
    assert bool(
        run_ctwa(problems, goal, uniform_start(problems), controller, 6000, 1e-3).reached.all()
    )
