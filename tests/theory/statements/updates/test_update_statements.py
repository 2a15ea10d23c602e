"""T8–T10: the change of an objective, its budget, and the sign certificate."""

from dataclasses import replace
from functools import cache
from itertools import islice

import numpy as np
import pytest
import torch
from scipy.stats import chi2

from covlaw.theory.statements import STATEMENTS, check_on
from covlaw.theory.statements._support.random_instances import RUNG
from covlaw.theory.statements.base import Sides, Statement
from covlaw.theory.statements.updates.score_field_chain_adds_up_to_the_change import _compare
from covlaw.theory.worlds.rungs import load_rung
from covlaw.theory.worlds.updates import Update
from covlaw.toys.bandit import bandit_world
from covlaw.toys.softmax_steps import varied_updates

IDS = ("T8", "T9", "T10")
TERMS = ("f0", "kernel", "clipping", "sampling", "optimiser", "logit", "tilt")


@cache
def updates(rung: str, count: int = 30) -> list[Update]:
    source = RUNG if rung == "theory" else load_rung(rung)
    return list(islice(source.updates(np.random.default_rng(5), count), count))


def mutated(statement: Statement, change) -> Statement:
    """The statement on updates that have been tampered with."""
    return replace(statement, sides=lambda update, rng: statement.sides(change(update), rng))


def sampled(update: Update, completions: int, rng: np.random.Generator) -> Update:
    """The same update seen through K samples of π_old, and its change on K fresh ones a policy."""
    rollouts, log_ratio = update.rollouts, update.fields.log_ratio
    new = rollouts.mass * log_ratio.exp()
    rows, fresh_old, fresh_new = (
        _draw(rollouts.prompt, mass, completions, rng)
        for mass in (rollouts.mass, rollouts.mass, new)
    )
    share = 1 / len(torch.unique(rollouts.prompt))
    old_values, new_values = rollouts.rewards[fresh_old], rollouts.rewards[fresh_new]
    change = share * (new_values.mean(1) - old_values.mean(1)).sum(0)
    variance = (old_values.var(1) + new_values.var(1)) / completions
    flat = rows.flatten()
    return replace(
        update,
        rollouts=replace(
            rollouts, prompt=rollouts.prompt[flat], rewards=rollouts.rewards[flat], mass=None
        ),
        fields=type(update.fields)(*(f[flat] for f in update.fields)),
        change=change,
        change_error=share * variance.sum(0).sqrt(),
    )


def _draw(prompt, mass, completions, rng) -> torch.Tensor:
    """(P, K) rows drawn from each prompt's completions."""
    drawn = []
    for x in torch.unique(prompt):
        rows = (prompt == x).nonzero()[:, 0]
        p = mass[rows].numpy()
        drawn.append(rng.choice(rows.numpy(), size=completions, p=p / p.sum()))
    return torch.as_tensor(np.stack(drawn))


@pytest.fixture(scope="module")
def audits() -> list[Update]:
    """Sampled updates of bandits with 64 prompts, so that errors by prompt are near normal.

    So many that twice and half the covariance can be told from the covariance.
    """
    rng = np.random.default_rng(7)
    exact = varied_updates(lambda r: bandit_world(r, prompts=64, arms=4, objectives=2), rng, 24)
    return [sampled(update, 128, rng) for update in exact]


@pytest.mark.parametrize("rung", ["theory", "bandit", "tabular"])
@pytest.mark.parametrize("name", IDS)
def test_holds_and_refutes_its_control(name: str, rung: str) -> None:
    verdict = check_on(STATEMENTS[name], updates(rung), rung)
    assert verdict.status == "holds"
    assert verdict.negative_control["refuted"]


@pytest.mark.parametrize("name", ["T8", "T9"])
def test_holds_on_samples_and_refutes_its_control(name: str, audits: list[Update]) -> None:
    verdict = check_on(STATEMENTS[name], audits, "llm")
    assert verdict.status == "holds"


def test_sampled_certificates_are_never_wrong(audits: list[Update]) -> None:
    verdict = check_on(STATEMENTS["T10"], audits, "llm")
    assert verdict.violations == 0
    assert verdict.n > 0


def test_t8_uses_the_errors_of_both_sides(audits: list[Update]) -> None:
    sides = [STATEMENTS["T8"].sides(update, np.random.default_rng(0)) for update in audits]
    error = torch.cat([s.standard_error for s in sides])
    own = torch.cat([update.change_error for update in audits])
    assert (error > own).all()
    # a standard error that is right gives about unit spread
    score = torch.cat([s.measured - s.predicted for s in sides]) / error
    low, high = chi2(len(score)).ppf([1e-4, 1 - 1e-4])
    assert low < float(score.square().sum()) < high


def test_t9_is_an_identity_on_samples(audits: list[Update]) -> None:
    sides = [STATEMENTS["T9"].sides(update, np.random.default_rng(0)) for update in audits]
    assert all(s.standard_error is None for s in sides)


def test_an_importance_ratio_upside_down_is_refuted() -> None:
    def invert(update: Update) -> Update:
        fields = update.fields._replace(log_ratio=-update.fields.log_ratio)
        return replace(update, fields=fields)

    for rung in ("theory", "bandit", "tabular"):
        verdict = check_on(mutated(STATEMENTS["T8"], invert), updates(rung), rung)
        assert verdict.status == "refuted"


def test_pooling_prompts_is_harmless_for_a_ratio_but_not_for_a_score() -> None:
    """E_old[ρ|x] = 1 in every prompt, so ρ needs no centring by prompt; s does (T22)."""

    def pool(update: Update) -> Update:
        rollouts = update.rollouts
        share = torch.bincount(rollouts.prompt).to(torch.float64)
        share = torch.ones_like(share) / len(share)
        outer = share if rollouts.prompt_mass is None else rollouts.prompt_mass
        pooled = replace(
            rollouts,
            prompt=torch.zeros_like(rollouts.prompt),
            mass=rollouts.mass * outer[rollouts.prompt],
            prompt_mass=None,
        )
        return replace(update, rollouts=pooled)

    several = updates("bandit")
    assert check_on(mutated(STATEMENTS["T8"], pool), several, "bandit").status == "holds"
    law = [STATEMENTS["T10"].sides(u, np.random.default_rng(0)).predicted for u in several]
    pooled = [STATEMENTS["T10"].sides(pool(u), np.random.default_rng(0)).predicted for u in several]
    assert any(
        a.shape != b.shape or not torch.equal(a, b) for a, b in zip(law, pooled, strict=True)
    )


@pytest.mark.parametrize("term", TERMS)
def test_every_term_of_the_budget_is_needed(term: str) -> None:
    def without(update: Update, _: np.random.Generator) -> Sides:
        return _compare(update, leave_out=(term,))

    verdict = check_on(replace(STATEMENTS["T9"], sides=without), updates("tabular"), "tabular")
    assert verdict.status == "refuted"


@pytest.mark.parametrize("rung", ["theory", "bandit"])
def test_the_logit_gap_vanishes_for_a_log_linear_softmax(rung: str) -> None:
    """log ρ − ⟨∇log π, u⟩ is constant within a prompt: T9 holds without that gap."""

    def without(update: Update, _: np.random.Generator) -> Sides:
        return _compare(update, leave_out=("logit",))

    verdict = check_on(replace(STATEMENTS["T9"], sides=without), updates(rung), rung)
    assert verdict.status == "holds"
