"""Audits of a loss with more than the law in it: lengths, KL, entropy, mini-batches."""

import copy
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from gradient_gaps import flat_gradient, rounding_of
from small_runs import small_run

from covlaw.llm.audit.penalty import penalty_field, penalty_record
from covlaw.llm.audit.record import load_evidence
from covlaw.llm.audit.terms import Transition, expected_ascent, law_signal, update_fields
from covlaw.llm.config.train_config import TrainConfig
from covlaw.llm.loop.policy_step import policy_step
from covlaw.llm.loop.training_batch import TrainingBatch
from covlaw.llm.sampling.rollout import SampledRollouts
from covlaw.llm.train import train
from covlaw.records.runs import STEPS, read_lines
from covlaw.theory.estimators.covariance import within_prompt_covariance
from covlaw.theory.losses.aggregation import AGGREGATIONS

CONFIG = TrainConfig(aggregation="sequence_sum", grad_clip=0.0)
PENALTIES = {"kl_coefficient": 0.3, "kl_estimator": "k2", "entropy_coefficient": 0.2}


@pytest.fixture
def sample(draw) -> SampledRollouts:
    completions, generator = draw(n=12), torch.Generator().manual_seed(5)
    count = len(completions.text)
    rewards = torch.rand(count, 2, generator=generator).double()
    rollouts = SampledRollouts.of(completions, rewards, ("first", "second"))
    return rollouts.weighted(torch.randn(count, generator=generator).double())


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
def test_the_signal_is_what_the_loss_acts_as(policy, sample, aggregation: str) -> None:
    """T18: each aggregation is the law's own sum with A, A/L, or A over the mean length."""
    config = replace(CONFIG, aggregation=aggregation)
    batch = TrainingBatch.of(sample)
    found = flat_gradient(policy[0], batch, config)
    signal = law_signal(sample, config)
    if aggregation == "token_mean":
        signal = signal / sample.completions.lengths.double().mean()
    expected = flat_gradient(policy[0], batch._replace(advantage=signal), CONFIG)
    allowed = rounding_of(policy[0], batch, config)
    assert (found - expected).norm() <= allowed
    assert allowed < 0.01 * found.norm()


def update(model, sample: SampledRollouts, config: TrainConfig, rate: float) -> Transition:
    """One update by gradient descent towards a reference that lies apart."""
    reference = copy.deepcopy(model)
    with torch.no_grad():
        for p in reference.parameters():
            p.mul_(0.95)
    optimizer = torch.optim.SGD(model.parameters(), lr=rate)
    batch = TrainingBatch.of(sample)
    anchor = reference if config.kl_coefficient else None
    trace = policy_step(model, optimizer, batch, config, anchor, keep=True)
    return Transition(trace, rate, anchor)


@pytest.mark.parametrize("epochs", [1, 2])
def test_what_a_loss_of_penalties_alone_does_is_the_penalty_field(policy, sample, epochs) -> None:
    """At advantage 0 the law's fields vanish, and the batch's gradient is the penalties'."""
    config = replace(CONFIG, epochs=epochs, **PENALTIES)
    still = replace(sample, advantage=torch.zeros_like(sample.advantage))
    moved = update(policy[0], still, config, 1e-4)
    fields = update_fields(policy[0], still, still, moved, config)
    assert not fields.policy_gradient.any()
    assert not fields.clipped_gradient.any()
    found = penalty_field(policy[0], still, still, moved, config)
    # the same gradient, added in another order: float32 over 100 tokens of unlike sign
    gap = (found - fields.batch_gradient).norm()
    assert gap <= 1000 * 2.0**-24 * fields.batch_gradient.norm()
    assert fields.batch_gradient.norm() > 1e-3
    record = penalty_record(policy[0], still, still, moved, config)
    expected = within_prompt_covariance(still.rewards, found, still.prompt)
    assert record == {
        "estimate": expected.estimate.tolist(),
        "se": expected.standard_error.tolist(),
    }


def test_penalties_stay_out_of_the_laws_fields(policy, sample) -> None:
    config = replace(CONFIG, **PENALTIES)
    moved = update(policy[0], sample, config, 1e-4)
    with_penalties = expected_ascent(policy[0], sample, moved, config)
    plain = expected_ascent(policy[0], sample, moved, CONFIG)
    assert all(torch.equal(with_penalties[0][n], plain[0][n]) for n in plain[0])
    assert penalty_field(policy[0], sample, sample, replace(moved, reference=None), CONFIG) is None


@pytest.fixture(scope="module")
def run(policy_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    config = small_run(
        policy_folder,
        tmp_path_factory.mktemp("runs") / "penalised",
        algorithm="grpo",
        steps=2,
        epochs=2,
        mini_batches=3,
        micro_batch=5,
        reward_seconds=0.0,
        **PENALTIES,
    )
    return train(config)


def test_a_run_with_all_of_it_closes_its_budget_and_names_the_penalties_part(run: Path) -> None:
    steps = list(read_lines(run / STEPS))
    assert len(steps) == 2
    for step in steps:
        assert step["entropy"] > 0
        assert step["kl_reference"] is not None
        independent, same = step["audits"]
        total = [sum(term[j] for term in independent["budget"].values()) for j in range(2)]
        # seven sums of 40 float64 products of size < 1
        assert total == pytest.approx(independent["exact_change"]["estimate"], abs=1e-12)
        assert all(isinstance(x, float) for x in independent["penalty"]["estimate"])
        assert "penalty" not in same
        for audit in step["audits"]:
            assert audit["law_by_sum"]["estimate"] != audit["law"]["estimate"]


def test_every_mini_batch_is_an_inner_step_of_the_audit(run: Path) -> None:
    for path in sorted((run / "audits").glob("*.safetensors")):
        evidence, _ = load_evidence(path, ("first", "second"))
        assert len(evidence.inner) == 6
        ratios = [ratio for _, ratio in evidence.inner]
        assert not ratios[0].any()
        assert all(ratio.any() for ratio in ratios[1:])
