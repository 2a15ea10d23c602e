"""Advantages that differ from token to token: in the loss, and what an audit may say of them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from small_runs import small_run
from torch import Tensor

from covlaw.llm.config.train_config import TrainConfig
from covlaw.llm.loop.loss_pass import accumulate
from covlaw.llm.loop.training_batch import TrainingBatch
from covlaw.llm.model.log_prob import token_log_prob
from covlaw.llm.model.parameters import gradients
from covlaw.llm.rung import instances
from covlaw.llm.train import train
from covlaw.records.constants import LAWS
from covlaw.records.runs import STEPS, read_lines
from covlaw.records.verdict.verdict import run_verdict
from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.statements import STATEMENTS, check_on
from covlaw.theory.worlds.token_law import choice_mean, token_covariance, token_values
from covlaw.theory.worlds.updates import InnerStep, Update
from covlaw.toys.tabular import draw_tabular

CONFIG = TrainConfig(aggregation="sequence_sum", grad_clip=0.0)
# float32 gradients: sums of ~100 tokens' terms whose signs partly cancel
ROUNDING = 100 * 2.0**-23 * 10


def flat(model) -> Tensor:
    found = gradients(model)
    model.zero_grad(set_to_none=True)
    return torch.cat([found[n].reshape(-1).double() for n in sorted(found)])


def loss_gradient(model, completions, advantage: Tensor, config: TrainConfig) -> Tensor:
    accumulate(model, TrainingBatch(completions, advantage), config)
    return flat(model)


def by_hand(model, completions, advantage: Tensor, aggregation: str) -> Tensor:
    mask, log_prob = completions.mask, token_log_prob(model, completions)
    per_row = (torch.where(mask, advantage, 0.0) * log_prob).sum(1)
    if aggregation == "token_mean":
        loss = -per_row.sum() / mask.sum()
    else:
        length = mask.sum(1) if aggregation == "sequence_mean" else torch.ones(len(mask))
        loss = -(per_row / length).mean()
    loss.backward()
    return flat(model)


@pytest.fixture
def advantage(draw) -> Tensor:
    mask = draw(n=12).mask
    weights = torch.randn(mask.shape, generator=torch.Generator().manual_seed(2)).double()
    return torch.where(mask, weights, float("nan"))  # padding is never read


@pytest.mark.parametrize("aggregation", ["sequence_sum", "sequence_mean", "token_mean"])
@pytest.mark.parametrize("micro_batch", [5, 1000])
def test_each_token_gets_its_own(policy, draw, advantage, aggregation, micro_batch) -> None:
    config = replace(CONFIG, aggregation=aggregation, micro_batch=micro_batch)
    completions = draw(n=12)
    found = loss_gradient(policy[0], completions, advantage, config)
    expected = by_hand(policy[0], completions, advantage, aggregation)
    assert (found - expected).norm() < ROUNDING * expected.norm()


def test_one_scalar_on_all_tokens_is_the_advantage_of_the_completion(policy, draw) -> None:
    completions = draw(n=12)
    scalar = torch.randn(36, generator=torch.Generator().manual_seed(2)).double()
    spread = scalar[:, None].expand(completions.mask.shape)
    plain, spread_out = (
        loss_gradient(policy[0], completions, a, replace(CONFIG, micro_batch=5))
        for a in (scalar, spread)
    )
    assert torch.equal(plain, spread_out)


def test_no_sum_of_token_advantages_is_the_laws_score() -> None:
    """T16: a_t acts as the token tilt along w = E[a_t|h_t, y_t], and its s is not Σ_t a_t.

    The change of E[r_j] along that tilt is Cov(r_j, Σ_t(w_t − E[w_t|h_t])). The predictable part
    E[w_t|h_t] telescopes away for a scalar, and not for a_t: it can turn the covariance's sign.
    """
    opposite = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        tree = draw_tabular(rng).tokens
        world, mask = tree.world, tree.mask
        advantage = torch.as_tensor(rng.normal(size=mask.shape)) * mask
        advantage += mask * torch.as_tensor(rng.normal(size=mask.shape[1]))
        values = token_values(tree, world.rewards)
        acts_as = choice_mean(tree, advantage[..., None], tree.log_policy())[:, 0]
        law = token_covariance(values, acts_as)
        context = tree.sum_by_context(values.policy * acts_as)
        score = tree.along(acts_as - context[tree.context]).sum(1)
        weight = world.row_weight()
        mean = world.rollouts()  # E_x Cov_x by plain sums
        effective, naive = (_covariance(mean, weight, s) for s in (score, advantage.sum(1)))
        size = world.rewards.abs().amax(0) * advantage.abs().sum(1).amax()
        assert ((law - effective).abs() <= rounding(size, 64 * len(weight))).all()
        opposite += int((law * naive < 0).sum())
    assert opposite > 0


def _covariance(rollouts, weight: Tensor, score: Tensor) -> Tensor:
    total = torch.zeros(rollouts.rewards.shape[1]).double()
    for x in rollouts.prompt.unique():
        rows = rollouts.prompt == x
        w, r, s = weight[rows], rollouts.rewards[rows], score[rows]
        share = w.sum()
        total += w @ (r * s[:, None]) - (w @ r) * (w @ s) / share
    return total


@pytest.fixture(scope="module", params=["pama", "tchebycheff"])
def run(request, policy_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    config = small_run(
        policy_folder,
        tmp_path_factory.mktemp("runs") / request.param,
        scalarizer=request.param,
        options={request.param: {"reference": True}},
        steps=3,
        epochs=2,
    )
    return train(config)


def test_an_audit_says_that_it_has_no_law_and_keeps_the_rest(run: Path) -> None:
    audits = [step["audits"] for step in read_lines(run / STEPS) if step["audits"]]
    assert len(audits) == 2
    for independent, same in audits:
        for name in LAWS:
            unknown = {"estimate": [None] * 2, "se": [None] * 2, "scale": None}
            assert independent[name] == same[name] == unknown
        assert independent["budget"]["f0"] == [0.0, 0.0]
        for name in ("first_order", "exact_change", "measured"):
            assert all(isinstance(x, float) for x in independent[name]["estimate"])
        total = [sum(term[j] for term in independent["budget"].values()) for j in range(2)]
        # seven sums of 40 float64 products of size < 1
        assert total == pytest.approx(independent["exact_change"]["estimate"], abs=1e-12)


def test_statements_on_updates_hold_and_inner_steps_stay_away(run: Path) -> None:
    assert not list(instances(run, InnerStep))
    assert len(list(instances(run, Update))) == 2
    on_updates = [s for s in STATEMENTS.values() if s.needs is Update]
    checked = [s for s in on_updates if "llm" not in s.not_applicable]
    assert {"T8", "T9"} <= {s.id for s in checked}
    for statement in checked:
        assert check_on(statement, instances(run, Update), "llm").status != "refuted", statement.id


def test_the_verdict_counts_no_sign_of_a_missing_law(run: Path) -> None:
    found = run_verdict([run])
    assert len(found.audits) == 4
    assert not any(pair.forecasts[name].clear for pair in found.audits for name in LAWS)
    assert all(found.agreement["1"][name].signs.of == 0 for name in LAWS)
