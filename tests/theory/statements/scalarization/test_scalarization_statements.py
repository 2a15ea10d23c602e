"""E1–E8: they hold on every rung, their false variants do not, and neither does a broken rule."""

import numpy as np
import pytest
import torch
from torch import Tensor

from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.dynamics.ctwa_signals import SIGNALS
from covlaw.theory.estimators.covariance import within_prompt_covariance
from covlaw.theory.estimators.prompt_covariances import prompt_covariances
from covlaw.theory.scalarizers import (
    SCALARIZERS,
    Batch,
    Signal,
    ctwa,
    dynamic,
    gradnorm,
    lagrangian,
    linear,
    make_scalarizer,
    mgda,
    pama,
    tchebycheff,
)
from covlaw.theory.statements import STATEMENTS, check
from covlaw.theory.statements.scalarization import _frozen_ctwa as frozen_ctwa
from covlaw.theory.statements.scalarization import _frozen_worlds as frozen_worlds
from covlaw.theory.statements.scalarization.gradnorm_violates_by_the_mean_correlation import (
    settled_weights,
)
from covlaw.theory.worlds.world import World

IDS = [f"E{k}" for k in range(1, 9)]


@pytest.mark.slow  # other draws of what test_every_statement checks
@pytest.mark.parametrize("id", IDS)
@pytest.mark.parametrize("seed", [0, 3])
def test_holds_on_the_conflict_ensemble(id: str, seed: int) -> None:
    verdict = check(id, "theory", seed, instances=25)
    assert verdict.status == "holds", verdict
    assert verdict.negative_control is not None
    assert verdict.negative_control["refuted"]


@pytest.mark.parametrize("id", IDS)
@pytest.mark.parametrize("rung", ["bandit", "tabular"])
def test_holds_on_the_rungs(id: str, rung: str) -> None:
    # the toys' rewards conflict evenly, so few of them let GradNorm lower an objective
    verdict = check(id, rung, seed=0, instances=None if id == "E3" else 12)
    assert verdict.status == "holds", verdict


@pytest.mark.slow
@pytest.mark.parametrize("id", IDS)
def test_holds_on_the_transformer_rung(id: str) -> None:
    verdict = check(id, "transformer", seed=0)
    assert verdict.status == "holds", verdict


@pytest.mark.parametrize("id", IDS)
def test_says_why_an_llm_is_not_judged(id: str) -> None:
    verdict = check(id, "llm")
    assert verdict.status == "not_applicable"
    assert "audits" in verdict.note


@pytest.mark.parametrize("name", SCALARIZERS)
def test_every_scalarizer_is_predicted_by_a_statement(name: str) -> None:
    for id in make_scalarizer(name, ["a", "b"]).predictions():
        assert id in STATEMENTS


# --- a broken rule is refuted: each statement judges the real class ------------------------------


def broken_linear(self: linear.Linear, state: object, batch: Batch) -> tuple[object, Signal]:
    return state, Signal(batch.rewards @ self.weights.square(), weights=self.weights)


def broken_mgda(gram: Tensor) -> Tensor:
    return 1 / gram.diagonal() / (1 / gram.diagonal()).sum()


def unmoved(log_weights: Tensor, norm: Tensor, pace: Tensor, step: float) -> Tensor:
    return log_weights


def opposite(log_weights: Tensor, norm: Tensor, pace: Tensor, step: float) -> Tensor:
    moved = gradnorm.balancing_step(log_weights, norm, pace, step)
    return torch.log_softmax(2 * log_weights - moved, 0)


def refuted(id: str, instances: int = 40) -> bool:
    return check(id, "theory", seed=0, instances=instances).status == "refuted"


def test_e1_refutes_ctwa_that_lowers_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    original = ctwa.Ctwa.update

    def lowers(self: ctwa.Ctwa, state: ctwa.CtwaState, seen: object) -> ctwa.CtwaState:
        moved = original(self, state, seen)  # type: ignore[arg-type]
        return moved._replace(log_weights=2 * state.log_weights - moved.log_weights)

    monkeypatch.setattr(ctwa.Ctwa, "update", lowers)
    assert refuted("E1", 3)


def test_e1_refutes_ctwa_that_moves_a_tenth_as_far(monkeypatch: pytest.MonkeyPatch) -> None:
    """It reaches its targets all the same, but misses more on the way than the budget allows."""
    original = ctwa.Ctwa.update

    def timid(self: ctwa.Ctwa, state: ctwa.CtwaState, seen: object) -> ctwa.CtwaState:
        moved = original(self, state, seen)  # type: ignore[arg-type]
        part = state.log_weights + (moved.log_weights - state.log_weights) / 10
        return moved._replace(log_weights=part)

    monkeypatch.setattr(ctwa.Ctwa, "update", timid)
    assert refuted("E1", 12)


def test_e1_judges_nearly_degenerate_worlds_by_their_budget() -> None:
    """Worlds that are too slow to wait for are judged too; rounding alone excludes."""
    rng = np.random.default_rng(5)
    kinds = {"clear": 0, "unclear": 0, "hidden": 0}
    for world in frozen_worlds.conflict_worlds(rng, 120):
        frozen = frozen_ctwa.frozen_at(world, rng)
        kinds["hidden" if frozen is None else "clear" if frozen.clear else "unclear"] += 1
        if frozen is not None and not frozen.clear:
            target = 0.95 * frozen.room.lower * frozen.direction
            step = frozen.step(target)
            missed = frozen_ctwa.run_loop(frozen, target, target, step, 60).missed
            assert 0 < missed < frozen.budget(target, step)
    assert min(kinds.values()) > 0


def test_e2_refutes_weights_by_the_own_norm(monkeypatch: pytest.MonkeyPatch) -> None:
    def own(batch: Batch, count: int, name: str) -> Tensor:
        assert batch.gramian is not None
        return batch.gramian.diagonal().diag()

    monkeypatch.setattr(dynamic, "given_gramian", own)
    assert refuted("E2")


def test_e3_refutes_weights_that_do_not_balance(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gradnorm, "balancing_step", unmoved)
    assert refuted("E3", 120)


def test_e4_refutes_a_multiplier_of_the_wrong_sign(monkeypatch: pytest.MonkeyPatch) -> None:
    original = lagrangian.Lagrangian.update

    def halved(self: lagrangian.Lagrangian, state: object, seen: object) -> object:
        moved = original(self, state, seen)  # type: ignore[arg-type]
        return moved._replace(multipliers=moved.multipliers / 2)

    monkeypatch.setattr(lagrangian.Lagrangian, "update", halved)
    assert refuted("E4")


def test_e4_refutes_raw_rewards_as_the_reference_form(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lagrangian, "standardised", lambda rewards, batch: rewards)
    assert refuted("E4")


def test_e5_refutes_weights_by_inverse_squares(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mgda, "min_norm_weights", broken_mgda)
    assert refuted("E5")


def test_e6_refutes_squared_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear.Linear, "signal", broken_linear)
    assert refuted("E6")


def test_e7_refutes_an_advantage_without_the_ratio(monkeypatch: pytest.MonkeyPatch) -> None:
    def all_kept(self: pama.Pama, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        assert batch.mask is not None
        return batch.mask.to(torch.bool), batch.mask.to(torch.float64)

    monkeypatch.setattr(pama.Pama, "_ratio_kept", all_kept)
    assert refuted("E7")


def test_e8_refutes_the_sum_of_shortfalls(monkeypatch: pytest.MonkeyPatch) -> None:
    original = tchebycheff.Tchebycheff.signal

    def summed(self: tchebycheff.Tchebycheff, state: object, batch: Batch) -> tuple[object, Signal]:
        moved, signal = original(self, state, batch)  # type: ignore[arg-type]
        score = -(self.weights * (moved.ideal - batch.rewards)).sum(1)
        return moved, signal._replace(score=score)

    monkeypatch.setattr(tchebycheff.Tchebycheff, "signal", summed)
    assert refuted("E8")


# --- what the statements lean on ----------------------------------------------------------------


def worlds(count: int, seed: int = 0) -> list[World]:
    return list(frozen_worlds.conflict_worlds(np.random.default_rng(seed), count))


def test_policy_gradients_are_those_of_the_enumerated_values() -> None:
    """Against central differences, whose error is h²·J'''/6 + 2u·|J|/h."""
    step = 1e-5
    for world in worlds(10):
        gradients = frozen_worlds.policy_gradients(world)
        basis = torch.eye(world.theta.shape[0], dtype=torch.float64)
        differences = torch.stack(
            [
                world.value(world.theta + step * e) - world.value(world.theta - step * e)
                for e in basis
            ],
            1,
        ) / (2 * step)
        size = world.rewards.abs().max()
        assert (
            (gradients - differences).abs() <= size * (step**2 + rounding(64.0, 64) / step)
        ).all()


def test_the_grpo_statistic_is_the_covariance_with_the_normalised_score() -> None:
    """E1 reads y off the prompts' matrices: the same as standardising the scalarizer's score."""
    for world in worlds(20):
        batch = frozen_worlds.frozen_batch(world)
        assert batch.mass is not None
        found = prompt_covariances(world.rewards, world.prompt, batch.mass, world.prompt_mass)
        scalarizer = make_scalarizer(
            "linear", world.names, weights=[*range(1, len(world.names) + 1)]
        )
        signal = scalarizer.signal(scalarizer.init(), batch)[1]
        assert signal.weights is not None
        std = (
            within_prompt_covariance(signal.score, signal.score, world.prompt, batch.mass)
            .per_prompt[:, 0]
            .sqrt()
        )
        if float(std.min()) < 1e-3:
            continue
        advantage = signal.score / std[world.prompt]
        measured = within_prompt_covariance(
            world.rewards, advantage, world.prompt, batch.mass, world.prompt_mass
        ).estimate
        allowed = rounding(world.rewards.abs().max().square() / std.min().square() * 1e2, 256)
        assert ((measured - SIGNALS["grpo"](found, signal.weights)).abs() <= allowed).all()


@pytest.mark.parametrize("correlation", [-0.4, -0.6, -0.9])
def test_gradnorm_turns_at_a_mean_correlation_of_minus_one_half(correlation: float) -> None:
    """Three objectives: the first opposes the other two, which agree."""
    gram = torch.tensor(
        [[1, correlation, correlation], [correlation, 1, 1], [correlation, 1, 1]],
        dtype=torch.float64,
    )
    length = torch.tensor([1.0, 10.0, 0.1], dtype=torch.float64)
    gram = gram * length[:, None] * length
    alignment = gram @ settled_weights(gram, np.random.default_rng(0))
    # |Σ corr| ≥ 0.2 is more than the weights' band can turn: 3·(e^0.008 − 1) = 0.03
    assert alignment[0].sign() == np.sign(1 + 2 * correlation)


def test_worlds_of_the_ensemble_differ_in_shape_and_plant_conflict() -> None:
    drawn = worlds(60)
    assert {len(w.names) for w in drawn} == {2, 3, 4}
    assert {int(w.prompt.max()) + 1 for w in drawn} == {1, 2, 3}
    falling = 0
    for world in drawn:
        found = prompt_covariances(world.rewards, world.prompt, world.log_prob_at().exp())
        correlation = found.within() / found.within().diagonal().sqrt().outer(
            found.within().diagonal().sqrt()
        )
        falling += bool((correlation < -0.2).any())
    assert falling > 20
