"""Worlds and their updates: derivatives against differences, chains against their definition."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import Tensor

from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory._numerics.rounding import UNIT_ROUNDOFF, rounding
from covlaw.theory._numerics.softmax import log_softmax_by_prompt
from covlaw.theory.estimators.budget import law_budget
from covlaw.theory.statements._support.random_instances import ascent, random_score, random_world
from covlaw.theory.worlds.rungs import load_rung
from covlaw.theory.worlds.updates import UpdateRecipe, exact_update
from covlaw.theory.worlds.world import World


def worlds(count: int) -> Iterator[tuple[World, np.random.Generator]]:
    rng = np.random.default_rng(11)
    for _ in range(count):
        yield random_world(rng), rng


def test_probabilities_of_each_prompt_sum_to_one() -> None:
    for world, _ in worlds(20):
        for x in world.prompt.unique():
            total = world.log_prob_at().exp()[world.prompt == x].sum()
            assert abs(total - 1) <= rounding(1.0, world.depth + 16)


def test_log_softmax_is_stable_and_never_mixes_prompts() -> None:
    logits = torch.tensor([1e4, 1e4 + 1, -1e4, -1e4 - 1, 3.0], dtype=torch.float64)
    index = torch.tensor([0, 0, 1, 1, 2])
    seen = log_softmax_by_prompt(logits, index, 3)
    for rows in ([0, 1], [2, 3], [4]):
        assert torch.equal(seen[rows], torch.log_softmax(logits[rows], 0))


def test_directional_derivative_is_the_limit_of_differences() -> None:
    """Central differences: h² |f'''|/6 + u|f|/h, least at h = u^{1/3}."""
    step = UNIT_ROUNDOFF ** (1 / 3)
    for world, rng in worlds(20):
        direction = torch.as_tensor(rng.normal(size=world.theta.shape[0]))
        direction /= world.scores().abs().max() * direction.norm() + 1  # |⟨∇log π, v⟩| of order 1
        ends = [world.log_prob(world.theta + sign * step * direction) for sign in (1, -1)]
        differences = (ends[0] - ends[1]) / (2 * step)
        slope = world.directional(direction)
        # cumulants of a variable of range ≤ 2·max|slope|: the third is at most (2·max)³
        third = (2 * float(slope.abs().max()) + 1) ** 3
        noise = float(rounding(world.log_prob_at().abs().max() + 1, world.depth)) / step
        assert ((slope - differences).abs() <= third * step**2 + noise).all()


def test_forward_and_reverse_mode_agree_with_the_full_jacobian() -> None:
    for world, rng in worlds(20):
        direction = torch.as_tensor(rng.normal(size=world.theta.shape[0]))
        weight = torch.as_tensor(rng.normal(size=world.prompt.shape[0]))
        scores = world.scores()
        size = scores.abs() @ direction.abs()
        assert (
            (world.directional(direction) - scores @ direction).abs()
            <= rounding(size + 1, 8 * world.depth)
        ).all()
        size = scores.abs().T @ weight.abs() + weight.abs().sum()
        assert (
            (world.score_sum(weight) - scores.T @ weight).abs() <= rounding(size, 8 * world.depth)
        ).all()


def test_an_exact_update_changes_the_value_by_its_budget() -> None:
    for world, rng in worlds(20):
        recipe = UpdateRecipe("SGD", ascent(0.1), 0.1, completions=None)
        update = exact_update(world, random_score(world, rng), recipe, rng)
        assert (update.fields.batch_gradient == update.fields.clipped_gradient).all()
        step = 0.1 * world.score_sum(world.row_weight() * centred(world, update.fields.score))
        realised = world.value(world.theta + step) - world.value()
        size = world.rewards.abs().amax(0) * (1 + update.fields.log_ratio.abs().max())
        allowed = rounding(8 * size, 8 * world.depth)
        assert ((update.change - realised).abs() <= allowed).all()
        budget = law_budget(update.rollouts.rewards, update.fields, *update.rollouts.groups)
        assert ((budget.realised - realised).abs() <= allowed).all()


def centred(world: World, score: Tensor) -> Tensor:
    out = score.clone()
    for x in world.prompt.unique():
        rows = world.prompt == x
        out[rows] -= world.log_prob_at().exp()[rows] @ score[rows]
    return out


def test_sampled_batches_have_the_expected_gradient() -> None:
    """f3 averages to f2 over batches; standard errors from the batches themselves."""
    world, rng = next(worlds(1))
    score = random_score(world, rng)
    recipe = UpdateRecipe("SGD", ascent(0.1), 0.1, completions=4)
    fields = [exact_update(world, score, recipe, rng).fields for _ in range(200)]
    batches = torch.stack([f.batch_gradient for f in fields])
    error = batches.std(0) / len(fields) ** 0.5
    gap = (batches.mean(0) - fields[0].clipped_gradient).abs()
    assert (gap <= 4.5 * error + rounding(1.0, world.depth)).all()  # 7e-6 a comparison


def test_a_prompt_of_probability_zero_is_never_sampled() -> None:
    world = next(w for w, _ in worlds(40) if w.prompt.unique().numel() == 2)
    mass = torch.tensor([1.0, 0.0], dtype=torch.float64)
    certain = World(
        world.label, world.prompt, world.rewards, world.names, world.theta, world.log_prob, mass
    )
    recipe = UpdateRecipe("SGD", ascent(0.1), 0.1, completions=4)
    update = exact_update(certain, world.rewards[:, 0], recipe, np.random.default_rng(0))
    assert torch.isfinite(torch.stack(list(update.fields))).all()


def test_an_unknown_rung_is_refused_with_its_near_matches() -> None:
    with pytest.raises(CovlawError, match="unknown rung 'bandits': did you mean bandit"):
        load_rung("bandits")
