"""The study's engine against plain loops, other parts of the toolkit, and itself."""

import numpy as np
import pytest
import torch
from torch import Tensor

from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.estimators.covariance import exact_change, within_prompt_covariance
from covlaw.theory.losses import effective_weight
from covlaw.theory.scalarizers import Batch, Observation, Signal, make_scalarizer
from covlaw.theory.scalarizers.linear import LinearState
from covlaw.theory.worlds.tilt import tilt_log_ratio
from covlaw.toys.bandit import bandit_world
from covlaw.toys.study.algorithms import Setting, algorithms
from covlaw.toys.study.arms import Arm
from covlaw.toys.study.engine import train_ensemble
from covlaw.toys.study.ensemble import PolicyEnsemble
from covlaw.toys.study.forecast import law_forecast
from covlaw.toys.study.supply import Aftermath, Supply, gramians, snapshot
from covlaw.toys.study.worlds import WORLDS

EXACT = ("bandit", "bandit_natural", "tabular", "transformer")


def draw(world: str, seeds: tuple[int, ...] = (0,), cell: int = 0) -> PolicyEnsemble:
    kind = WORLDS[world]
    return kind.build(kind.cells[cell], seeds)


def linear(ensemble: PolicyEnsemble, signal: str = "grpo", clip: str = "on") -> list[Arm]:
    return [Arm(make_scalarizer("linear", ensemble.names), signal, clip)] * ensemble.runs


def plain_bandit(seed: int, steps: int, inner: int, rate: float, low: float, high: float):
    """PPO on a softmax bandit in numpy: GRPO's signal, equal weights; values after each step."""
    world = bandit_world(np.random.default_rng([seed, 0]), 3, 6, 3, 0.25)
    logits, rewards = world.theta.numpy().reshape(3, 6).copy(), world.rewards.numpy()
    rewards = rewards.reshape(3, 6, 3)

    def policy(z: np.ndarray) -> np.ndarray:
        e = np.exp(z - z.max(1, keepdims=True))
        return e / e.sum(1, keepdims=True)

    values = [np.einsum("pk,pkm->m", policy(logits), rewards) / 3]
    for _ in range(steps):
        old = policy(logits)
        score = rewards.mean(2)
        centred = score - (old * score).sum(1, keepdims=True)
        advantage = centred / np.sqrt((old * centred**2).sum(1, keepdims=True))
        for _ in range(inner):
            now = policy(logits)
            ratio = now / old
            kept = np.where(advantage >= 0, ratio <= 1 + high, ratio >= 1 - low)
            pull = now * advantage * kept
            logits += rate * (pull - now * pull.sum(1, keepdims=True)) / 3
        values.append(np.einsum("pk,pkm->m", policy(logits), rewards) / 3)
    return np.array(values)


@pytest.mark.parametrize(("clip", "low", "high"), [("on", 0.2, 0.2), ("off", 1.0, np.inf)])
def test_a_bandit_run_is_ppo_written_out(clip: str, low: float, high: float) -> None:
    ensemble = draw("bandit", (0, 3))
    course = train_ensemble(ensemble, linear(ensemble, clip=clip), steps=6, inner=4)
    for r, seed in enumerate((0, 3)):
        expected = plain_bandit(seed, 6, 4, 1.0, low, high)
        # some 10³ operations on numbers of size 10, none of them ill-conditioned here
        assert np.abs(course.values[:, r].numpy() - expected).max() < float(rounding(10, 10**4))


def test_a_natural_step_is_the_tilt() -> None:
    ensemble = draw("bandit_natural")
    old = snapshot(ensemble, ensemble.theta)
    course = train_ensemble(ensemble, linear(ensemble, "raw", "off"), steps=1, inner=1)
    prompt = ensemble.tree.world.prompt
    log_ratio = tilt_log_ratio(ensemble.rewards[0].mean(1), 0.05, prompt, old.mass[0])
    change = exact_change(ensemble.rewards[0], log_ratio, prompt, old.mass[0]).estimate
    found = course.values[1, 0] - course.values[0, 0]
    assert float((found - change).abs().max()) <= float(course.noise.max())


@pytest.mark.parametrize("world", EXACT)
def test_snapshots_are_the_worlds_own_values(world: str) -> None:
    ensemble = draw(world, (1,))
    now = snapshot(ensemble, ensemble.theta)
    by_prompt = ensemble.by_prompt(now.mass).sum(2)
    assert float((by_prompt - 1).abs().max()) <= float(rounding(1, 40 * ensemble.depth))
    floor, ceiling = ensemble.attainable
    assert bool(((floor < now.values) & (now.values < ceiling)).all())


@pytest.mark.parametrize("world", EXACT)
def test_gramians_are_inner_products_of_finite_differences(world: str) -> None:
    ensemble = draw(world, (1,))
    now = snapshot(ensemble, ensemble.theta)
    rng = np.random.default_rng(0)
    direction = torch.as_tensor(rng.normal(size=ensemble.theta.shape))
    step = 1e-5
    up, down = (snapshot(ensemble, ensemble.theta + h * direction).values for h in (step, -step))
    slope = ((up - down) / (2 * step))[0]
    gram = gramians(ensemble, now)[0]
    # the part of the direction in the span of the gradients says the same as the Gramian
    theta = now.theta.clone().requires_grad_()
    value = (
        (ensemble.prompt_share * ensemble.along(ensemble.log_policy(theta)).sum(2).exp())[..., None]
        * ensemble.rewards
    ).sum(1)[0]
    jacobian = torch.stack([torch.autograd.grad(v, theta, retain_graph=True)[0][0] for v in value])
    assert torch.allclose(gram, jacobian @ jacobian.T, rtol=1e-9, atol=1e-14)
    # central differences err by h² and by rounding/h
    assert torch.allclose(jacobian @ direction[0], slope, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("world", EXACT)
def test_the_forecast_is_the_covariance_law(world: str) -> None:
    ensemble = draw(world, (1,))
    now = snapshot(ensemble, ensemble.theta)
    rng = np.random.default_rng(1)
    signal = torch.as_tensor(rng.normal(size=now.mass.shape))
    advantage = signal[..., None] * ensemble.mask
    prompt = ensemble.tree.world.prompt
    expected = within_prompt_covariance(ensemble.rewards[0], signal[0], prompt, now.mass[0])
    whole = law_forecast(ensemble, now, advantage, [])
    bound = 4 * whole.bound[0] + 1e-15
    assert bool(((whole.covariance[0] - expected.estimate).abs() <= bound).all())
    # token by token, with the same advantage on every token: the same number (T15)
    by_token = law_forecast(ensemble, now, advantage, [0])
    assert bool(((by_token.covariance[0] - expected.estimate).abs() <= 40 * bound).all())
    # and another where tokens differ
    other = advantage * torch.arange(1, 1 + advantage.shape[2])
    differs = law_forecast(ensemble, now, other, [0]).covariance[0] - expected.estimate
    assert bool((differs.abs() > bound).any()) == (advantage.shape[2] > 1)


def test_scalarizers_get_what_they_ask_for_and_nothing_else() -> None:
    ensemble = draw("tabular", (0, 0))
    now = snapshot(ensemble, ensemble.theta)
    later = snapshot(ensemble, ensemble.theta + 0.1)
    names = ensemble.names
    curious, plain = make_scalarizer("gradnorm", names), make_scalarizer("linear", names)
    supply = Supply(ensemble, now, now, torch.tensor([0]))
    asked, silent = (supply.batch(r, s.before) for r, s in enumerate((curious, plain)))
    assert asked.gramian is not None
    assert torch.equal(asked.gramian, gramians(ensemble, now)[0])
    assert silent.gramian is None
    assert silent.log_ratio_to_reference is None
    after = Aftermath(ensemble, now, later, lambda: torch.zeros_like(now.mass))
    saw, nothing = (after.observation(r, s, s.after) for r, s in enumerate((curious, plain)))
    assert saw.losses is not None
    assert bool((saw.losses > 0).all())
    assert nothing == Observation()
    sinner = make_scalarizer("gradnorm", names, reference=True)
    reference = after.observation(0, sinner, sinner.after)
    assert reference.losses is not None
    same_sign = (later.values - now.values)[0] * reference.losses <= 0
    assert bool(same_sign.all()), "−E[ρA] falls where the value rises"


def test_the_observed_covariance_is_that_of_the_effective_weight() -> None:
    ensemble = draw("bandit")
    seen: list[Tensor] = []

    class Watching:
        before: frozenset[str] = frozenset()
        after = frozenset({"covariance"})

        def init(self) -> LinearState:
            return LinearState()

        def signal(self, state: LinearState, batch: Batch) -> tuple[LinearState, Signal]:
            return state, Signal(batch.rewards.mean(1))

        def update(self, state: LinearState, observation: Observation) -> LinearState:
            seen.append(observation.covariance)
            return state

    old = snapshot(ensemble, ensemble.theta)
    train_ensemble(ensemble, [Arm(Watching(), "raw", "on")], 1, 4)
    moved = plain_after(ensemble)
    advantage = ensemble.centred(ensemble.rewards.mean(2, keepdim=True), old.mass)[0, :, 0]
    weight = effective_weight(advantage, (moved.log_token - old.log_token)[0, :, 0])
    prompt = ensemble.tree.world.prompt
    expected = within_prompt_covariance(ensemble.rewards[0], weight, prompt, old.mass[0])
    assert float((seen[0] - expected.estimate).abs().max()) <= float(rounding(10, 1000))


def plain_after(ensemble: PolicyEnsemble):
    """The policy after four inner steps of the raw linear signal, from the engine itself."""
    from covlaw.toys.study import engine as study_engine

    trainer = study_engine._Trainer(ensemble, linear(ensemble, "raw", "on"), 4)
    trainer.step()
    return trainer.now


@pytest.mark.parametrize("world", EXACT)
def test_every_algorithm_runs_in_every_world(world: str) -> None:
    known = algorithms()
    ensemble = draw(world, (0,)).rows(torch.zeros(len(known), dtype=torch.int64))
    start = snapshot(ensemble, ensemble.theta).values[0].tolist()
    setting = Setting(ensemble.names, "pooled", start)
    arms = [Arm(a.make(setting), "pooled", "on") for a in known.values()]
    course = train_ensemble(ensemble, arms, 2, 2)
    assert set(course.errors) == {""}
    assert bool(torch.isfinite(course.values).all())
    moved = (course.values[-1] != course.values[0]).any(1)
    assert dict(zip(known, moved.tolist(), strict=True))["linear"]
