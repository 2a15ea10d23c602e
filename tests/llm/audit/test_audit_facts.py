"""What an audit adds to its forecasts, on evidence made by hand and in a run."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from small_runs import small_run

from covlaw.llm.audit.facts import audit_facts, optimism, rounded
from covlaw.llm.audit.record import Evidence, Measured, audit_record, load_evidence
from covlaw.llm.config.train_config import TrainConfig
from covlaw.llm.loop.gramian import policy_gramian
from covlaw.llm.model.policy import load_policy
from covlaw.llm.train import train
from covlaw.records.runs import STEPS, read_config, read_lines, to_json
from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory.estimators.budget import ScoreFields
from covlaw.theory.estimators.intervals import Limits
from covlaw.theory.estimators.rollouts import Rollouts

PROMPTS, GROUP = 40, 10
CONFIG = TrainConfig(rewards=("accuracy", "conciseness"))


def evidence(seed: int = 0, tail: float = 0.0) -> Evidence:
    """Rewards in conflict; `tail` spreads the log-ratios."""
    rng = np.random.default_rng(seed)
    rows = PROMPTS * GROUP
    first = rng.normal(size=rows)
    rewards = np.stack([first, -first + 0.1 * rng.normal(size=rows)], 1)
    log_ratio = 0.05 * first + tail * rng.standard_exponential(rows)
    fields = [torch.tensor(x) for x in (first, first, first, first, 0.05 * first, log_ratio)]
    prompt = torch.arange(PROMPTS).repeat_interleave(GROUP)
    score = ScoreFields(*fields)
    rollouts = Rollouts(prompt, torch.tensor(rewards), CONFIG.rewards, advantage=score.score)
    return Evidence(rollouts, score, [])


def test_signs_that_stand_out_are_certified_and_no_others() -> None:
    found = audit_facts(evidence(), CONFIG)["certified"]
    assert found == {n: [True, True] for n in ("law", "first_order", "exact_change")}
    sample, rewards = evidence(), torch.randn(PROMPTS * GROUP, 2).double()
    noise = sample._replace(rollouts=replace(sample.rollouts, rewards=rewards))
    assert not any(audit_facts(noise, CONFIG)["certified"]["law"])


def test_each_law_is_scaled_by_its_own_signal() -> None:
    """Clipping that takes a quarter of everything away leaves the forecast of a change alone."""
    sample = evidence()
    kept = 0.75 * sample.fields.score
    ratio = torch.zeros_like(kept)
    zero = torch.zeros(2).double()
    measured = Measured(zero, zero, Limits(zero - 0.1, zero + 0.1))
    record = audit_record("same", sample._replace(inner=[(kept, ratio)]), measured)
    law, clipped = (record[name] for name in ("law", "clipped"))
    # five products and a quotient on either side, of sums over 400 rows
    assert clipped["scale"] == pytest.approx(law["scale"] / 0.75, rel=1e-12)
    assert law["scale"] == pytest.approx(0.05, rel=1e-12)  # of the log-ratio on the score
    for key in ("estimate", "se"):
        assert clipped[key] == pytest.approx([0.75 * x for x in law[key]], rel=1e-12)


def test_quantiles_are_those_of_the_prompts_own_covariances() -> None:
    sample = evidence()
    r, s = (x.reshape(PROMPTS, GROUP, -1).numpy() for x in (sample.rewards, sample.fields.score))
    own = np.array([[np.cov(r[p, :, j], s[p, :, 0])[0, 1] for j in (0, 1)] for p in range(PROMPTS)])
    found = audit_facts(sample, CONFIG)["per_prompt"]["law"]
    expected = np.quantile(own, [0.05, 0.25, 0.5, 0.75, 0.95], axis=0).T
    assert np.allclose(found["quantiles"], expected, rtol=1e-5)  # six digits are kept
    assert found["negative"] == [0.0, float((own[:, 1] < 0).mean())]


def test_headroom_is_small_where_objectives_oppose_each_other() -> None:
    found = audit_facts(evidence(), CONFIG)["headroom"]
    assert found["rank"] == {"full": 1.0, "weaker": 0.0, "fails": 0.0}
    # equal bundles leave E sd(r1 + r2)/2 = .05; alone each has sd 1
    assert 0.03 < found["equal"]["factor"] < 0.06
    assert "target" not in found
    ctwa = TrainConfig(rewards=CONFIG.rewards, scalarizer="ctwa", options={"ctwa": {"target": 0.5}})
    both = audit_facts(evidence(), ctwa)["headroom"]
    assert both["target"]["factor"] == pytest.approx(2 * both["equal"]["factor"], rel=1e-5)


def test_heavy_ratios_are_flagged_and_truncated_beside() -> None:
    calm, wild = (audit_facts(evidence(tail=t), CONFIG)["tails"] for t in (0.0, 1.5))
    assert not calm["heavy"]
    assert wild["heavy"]
    assert wild["pareto_k"] > wild["largest_k"] > calm["pareto_k"]
    assert wild["effective"] < PROMPTS * GROUP / 4 < calm["effective"]
    assert max(wild["truncated"]["se"]) < 2 * math.sqrt(PROMPTS * GROUP)


def test_a_completion_that_is_worse_in_everything_can_be_the_one_raised() -> None:
    sample = evidence()
    rewards = torch.rand(PROMPTS * GROUP, 2, dtype=torch.float64) + 1
    rewards[::GROUP] = 0.0
    raised = torch.zeros(PROMPTS * GROUP, dtype=torch.float64)
    raised[:: 2 * GROUP] = 1.0  # in every other prompt; elsewhere all tie
    raised[GROUP + 1 :: 2 * GROUP] = 1.0
    fields = sample.fields._replace(log_ratio=raised)
    rollouts = replace(sample.rollouts, rewards=rewards, advantage=rewards.sum(1))
    moved = sample._replace(rollouts=rollouts, fields=fields)
    found = audit_facts(moved, CONFIG)["dominated"]
    assert found["winner"] == 0.0
    other = rewards.reshape(PROMPTS, GROUP, 2)[1::2]
    beaten = (other[:, 1:2] <= other).all(-1) & (other[:, 1:2] < other).any(-1)
    expected = 0.5 + 0.5 * float(beaten.any(1).double().mean())
    assert found["raised"] == pytest.approx(expected, rel=1e-5)


def test_token_level_advantages_leave_out_what_needs_a_signal() -> None:
    sample = evidence()
    by_token = replace(sample.rollouts, advantage=sample.advantage[:, None])
    found = audit_facts(sample._replace(rollouts=by_token), CONFIG)
    assert set(found["certified"]) == {"first_order", "exact_change"}
    assert set(found["per_prompt"]) == {"exact_change"}
    assert set(found["dominated"]) == {"raised"}


def test_optimism_is_a_difference_of_independent_estimates() -> None:
    ours, theirs = (
        {"exact_change": {"estimate": [e, 0.0], "se": [s, 0.0]}}
        for e, s in ((0.1, 0.03), (0.3, 0.04))
    )
    assert optimism(ours, theirs) == {"estimate": [0.2, 0.0], "se": [0.05, 0.0]}
    assert rounded({"a": [1 / 3, True, None, 5]}) == {"a": [0.333333, True, None, 5]}


@pytest.fixture(scope="module")
def run(policy_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    config = small_run(
        policy_folder,
        tmp_path_factory.mktemp("runs") / "facts",
        steps=1,
        learning_rate=5e-2,
        audits=1,
        measured_completions=16,
        audit_held_out=9,
        audit_gramian=True,
        reward_seconds=0.0,
    )
    return train(config)


def test_a_run_records_them_all_and_stays_the_same_otherwise(run: Path, tmp_path: Path) -> None:
    audit, same = next(read_lines(run / STEPS))["audits"]
    assert audit["held_out"]["n_prompts"] == 9
    assert any(x > 0 for x in audit["held_out"]["se"])
    assert len(audit["optimism"]["estimate"]) == 2
    assert not {"held_out", "gramian", "tails", "optimism"} & set(same)
    config = TrainConfig.from_dict(read_config(run))
    sample, _ = load_evidence(run / "audits" / "step_00000.safetensors", config.objectives)
    facts = json.loads(to_json(audit_facts(sample, config)))
    assert facts == {name: audit[name] for name in facts}
    plain = replace(config, out=str(tmp_path / "r"), audit_held_out=0, audit_gramian=False)
    without, _ = next(read_lines(train(plain) / STEPS))["audits"]
    assert without == {k: v for k, v in audit.items() if k not in ("held_out", "gramian")}


def test_the_recorded_gramian_is_of_the_old_policy(run: Path, policy_folder: Path, draw) -> None:
    """It is symmetric and of the size that the policy before the update has on any sample."""
    audit = next(read_lines(run / STEPS))["audits"][0]
    gram = np.array(audit["gramian"])
    assert gram.shape == (2, 2)
    assert gram[0, 1] == gram[1, 0]
    assert np.linalg.eigvalsh(gram).min() > -1e-5 * np.trace(gram)
    completions, (model, _) = draw(n=8, tokens=6), load_policy(str(policy_folder), "cpu")
    rewards = completions.tokens[:, :2].double() / 10
    sizes = policy_gramian(model, completions, rewards, CONFIG).diagonal()
    assert 0.01 < np.trace(gram) / float(sizes.sum()) < 100


def test_one_held_out_prompt_is_refused() -> None:
    with pytest.raises(CovlawError, match="audit_held_out is 1"):
        TrainConfig(audit_held_out=1)


def test_every_entry_of_an_audit_is_explained(run: Path) -> None:
    page = (Path(__file__).parents[3] / "docs" / "audits.md").read_text(encoding="utf-8")
    audit, same = next(read_lines(run / STEPS))["audits"]
    counts = {"sample", "n_prompts", "n_completions"}
    entries = (set(audit) | set(same) | set(audit["tails"]) | set(audit["headroom"])) - counts
    missing = {name for name in entries if f"**{name}**" not in page and f"`{name}`" not in page}
    assert not missing
