"""T24–T27: gradients, law, radius and margin of the clipped surrogate."""

import math
from dataclasses import replace
from functools import cache
from itertools import islice
from typing import Any

import numpy as np
import pytest
import torch

from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory._numerics.groups import group_by_prompt
from covlaw.theory.estimators.clipped_law import no_clip_radius
from covlaw.theory.losses import effective_weight
from covlaw.theory.statements import STATEMENTS, check, check_on
from covlaw.theory.statements._support.random_instances import RUNG
from covlaw.theory.statements._support.rollout_rounding import row_weight
from covlaw.theory.statements.base import Sides
from covlaw.theory.statements.clipping import (
    clipped_gradient_is_the_weighted_score as weighted_score,
)
from covlaw.theory.statements.clipping import nothing_is_clipped_inside_the_no_clip_radius as radius
from covlaw.theory.worlds.rungs import load_rung
from covlaw.theory.worlds.updates import InnerStep
from covlaw.theory.worlds.world import World

IDS = ("T24", "T25", "T26", "T27")


@cache
def instances(name: str, rung: str, count: int = 30) -> list[Any]:
    source = RUNG if rung == "theory" else load_rung(rung)
    rng = np.random.default_rng(11)
    draw = source.worlds if STATEMENTS[name].needs is World else source.inner_steps
    return list(islice(draw(rng, count), count))


def sampled(step: InnerStep, completions: int, rng: np.random.Generator) -> InnerStep:
    """The same inner step on K samples a prompt."""
    rollouts, drawn = step.rollouts, []
    for x in torch.unique(rollouts.prompt):
        rows = (rollouts.prompt == x).nonzero()[:, 0]
        p = rollouts.mass[rows].numpy()
        drawn.append(rng.choice(rows.numpy(), size=completions, p=p / p.sum()))
    rows = torch.as_tensor(np.concatenate(drawn))
    seen = replace(
        rollouts, prompt=rollouts.prompt[rows], rewards=rollouts.rewards[rows], mass=None
    )
    return replace(
        step, rollouts=seen, advantage=step.advantage[rows], log_ratio=step.log_ratio[rows]
    )


@pytest.mark.parametrize("rung", ["theory", "bandit", "tabular"])
@pytest.mark.parametrize("name", IDS)
def test_holds_and_refutes_its_control(name: str, rung: str) -> None:
    count = 150 if name == "T27" else 30  # each bound a tenth smaller fails where it is reached
    verdict = check_on(STATEMENTS[name], instances(name, rung, count), rung)
    assert verdict.status == "holds"
    assert verdict.negative_control["refuted"]


@pytest.mark.parametrize("completions", [2, 16])
@pytest.mark.parametrize("name", ["T26", "T27"])
def test_holds_on_sampled_groups(name: str, completions: int) -> None:
    rng = np.random.default_rng(3)
    steps = [sampled(step, completions, rng) for step in instances(name, "bandit", 60)]
    verdict = check_on(STATEMENTS[name], steps, "llm")
    assert verdict.status == "holds"


@pytest.mark.parametrize("name", ["T24", "T25"])
def test_says_why_it_makes_no_sense_on_an_llm(name: str) -> None:
    assert STATEMENTS[name].not_applicable["llm"]


def test_registry_keeps_the_order_of_theory() -> None:
    order = [i for i in STATEMENTS if i in ("T8", "T9", "T10", *IDS)]
    assert order == ["T8", "T9", "T10", *IDS]
    assert check("t26", seed=3, instances=5).id == "T26"


def test_t24_unclipped_does_not_mean_a_ratio_near_one() -> None:
    """W with the indicator |ρ − 1| ≤ ε, a common misreading, is not the gradient."""

    def near_one(world: World, rng: np.random.Generator) -> Sides:
        at = weighted_score._displace(world, rng)
        low, high, dual = at.clip
        upper = effective_weight(at.advantage, at.log_ratio, None, low, high, dual)
        ratio = at.log_ratio.exp()
        inside = (ratio >= 1 - low) & (ratio <= 1 + high)
        return weighted_score._compare(world, at, torch.where(inside, upper, 0.0), rng)

    for rung in ("theory", "bandit", "tabular"):
        mutant = replace(STATEMENTS["T24"], sides=near_one)
        assert check_on(mutant, instances("T24", rung), rung).status == "refuted"


def test_t25_the_product_of_global_means_is_wrong() -> None:
    """The centring term is a mean over prompts of products, not a product of means."""

    def of_means(step: InnerStep, rng: np.random.Generator) -> Sides:
        uncentred = STATEMENTS["T25"].control.sides(step, rng)
        weight = row_weight(step.rollouts)
        moved = (weight * step.log_ratio.expm1()) @ step.rollouts.rewards
        return uncentred._replace(predicted=uncentred.predicted - moved * (weight @ step.weight))

    for rung in ("theory", "bandit", "tabular"):
        mutant = replace(STATEMENTS["T25"], sides=of_means)
        assert check_on(mutant, instances("T25", rung), rung).status == "refuted"


def test_t26_a_tilt_reaches_the_edge_of_its_radius_and_stays_inside() -> None:
    for step in instances("T26", "bandit"):
        limit = no_clip_radius(*step.clip)
        log_ratio = radius.tilt_to(step, limit)
        assert float(log_ratio.abs().max()) <= limit
        span = group_by_prompt(step.rollouts.prompt).span(log_ratio)
        assert torch.allclose(span, torch.full_like(span, limit), rtol=1e-12, atol=0)


def test_no_clip_radius_of_the_usual_ranges() -> None:
    assert round(no_clip_radius(0.2, 0.2), 4) == 0.1823
    assert no_clip_radius(0.1, 0.3) == -math.log1p(-0.1)
    assert no_clip_radius(0.2, 0.5, 1.1) == math.log(1.1)
    assert no_clip_radius(1.0, math.inf) == math.inf
    with pytest.raises(CovlawError, match="clip_low"):
        no_clip_radius(1.2, 0.2)


@pytest.mark.parametrize("clip", [(0.0, 0.0, None), (1.0, math.inf, None), (1.0, math.inf, 1.05)])
def test_t26_holds_for_ranges_that_always_or_never_clip(clip: tuple[Any, ...]) -> None:
    low, high, dual = clip
    steps = [
        replace(step, clip_low=low, clip_high=high, dual_clip=dual)
        for step in instances("T26", "theory")
    ]
    sides = [STATEMENTS["T26"].sides(step, np.random.default_rng(0)) for step in steps]
    assert all(torch.equal(s.measured, s.predicted) for s in sides)


def test_the_reported_comparison_is_not_an_empty_one() -> None:
    """Constant rewards give 0 = 0; the table shows a comparison that had something to say."""
    verdict = check("T25", seed=0, instances=40)
    assert verdict.measured != 0
    assert verdict.tolerance > 0
