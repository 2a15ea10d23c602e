"""An engine with weights of its own: the loop notices at once when they are not the trainer's."""

import math
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from small_runs import small_run

from covlaw.llm.config.train_config import TrainConfig
from covlaw.llm.loop import trainer
from covlaw.llm.model.log_prob import token_log_prob
from covlaw.llm.sampling.engine import Completions, TransformersEngine
from covlaw.llm.sampling.engine_gap import log_prob_gap, rounding_gap, rounding_rms
from covlaw.llm.sampling.truncation import Truncation
from covlaw.llm.train import train
from covlaw.records.runs import STEPS, read_lines
from covlaw.theory._numerics.errors import CovlawError


class CopyEngine(TransformersEngine):
    """Samples from a copy that only `sync` brings up to date."""

    def __init__(self, settings: Any, model: Any, tokenizer: Any, prompts: Any) -> None:
        del settings, prompts
        super().__init__(deepcopy(model), tokenizer)

    def sync(self, policy: torch.nn.Module) -> None:
        self.model.load_state_dict(policy.state_dict())


class ForgetfulEngine(CopyEngine):
    def sync(self, policy: torch.nn.Module) -> None:
        del policy


@pytest.fixture
def config(policy_folder: Path, tmp_path: Path) -> TrainConfig:
    return small_run(policy_folder, tmp_path / "run", steps=3, audits=0, engine_gap_limit=1e-3)


def test_an_engine_that_is_synced_equals_the_trainers_own_module(
    config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = train(replace(config, out=str(tmp_path / "plain")))
    monkeypatch.setattr(trainer, "make_engine", CopyEngine)
    assert (train(config) / STEPS).read_bytes() == (plain / STEPS).read_bytes()


def test_a_forgotten_sync_stops_the_run_and_what_was_recorded_stays(
    config: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer, "make_engine", ForgetfulEngine)
    message = r"not sample from the policy being trained.*a weight sync that did not arrive"
    with pytest.raises(CovlawError, match=message):
        train(config)
    steps = list(read_lines(Path(config.out) / STEPS))
    assert [s["step"] for s in steps] == [0]
    assert 0 < steps[0]["engine_log_prob_rms"] <= steps[0]["engine_log_prob_gap"] < 1e-3


def test_resuming_brings_a_new_engine_up_to_date(
    config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer, "make_engine", CopyEngine)
    unbroken = train(replace(config, out=str(tmp_path / "unbroken"), checkpoint_every=1))

    def kill(done: int, total: int, record: dict[str, Any]) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(replace(config, checkpoint_every=1), kill)
    again = train(replace(config, checkpoint_every=1))
    assert (again / STEPS).read_bytes() == (unbroken / STEPS).read_bytes()


class NoisyEngine(CopyEngine):
    """In sync, and beside the trainer's log-probs as a coarse engine is: by far at one token."""

    offset, one = 0.0, 0.0

    def sample(self, *arguments: Any, **named: Any) -> Completions:
        drawn = super().sample(*arguments, **named)
        log_prob = drawn.log_prob + self.offset * drawn.mask
        log_prob[0, 0] += self.one
        return drawn._replace(log_prob=log_prob)


@pytest.mark.parametrize(("offset", "one", "stops"), [(0.0, 0.4, False), (0.1, 0.0, True)])
def test_the_root_mean_square_judges_and_the_largest_stands_beside(
    policy_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    offset: float,
    one: float,
    stops: bool,
) -> None:
    """One token of .4 nats among 100 is .04 in the mean square; .1 on every token is .1."""
    config = small_run(policy_folder, tmp_path / "run", steps=1, audits=0, engine_gap_limit=0.07)
    engine = type("Engine", (NoisyEngine,), {"offset": offset, "one": one})
    monkeypatch.setattr(trainer, "make_engine", engine)
    if stops:
        with pytest.raises(
            CovlawError, match=r"by 0\.1 nats \(root mean square over tokens; the la"
        ):
            train(config)
        return
    (step,) = read_lines(train(config) / STEPS)
    assert step["engine_log_prob_gap"] == pytest.approx(0.4, abs=1e-4)
    assert step["engine_log_prob_rms"] == pytest.approx(0.4 / step["tokens"] ** 0.5, abs=1e-4)


def test_the_limit_of_the_root_mean_square_is_what_the_largest_of_a_million_leaves(
    policy: Any,
) -> None:
    config = TrainConfig(engine="vllm")
    share = rounding_gap(config, policy[0]) / rounding_rms(config, policy[0])
    assert share == pytest.approx((2 * math.log(1e6)) ** 0.5)


def test_the_limit_grows_with_the_unit_roundoff(policy: Any) -> None:
    float32, half = (
        rounding_gap(TrainConfig(engine="vllm", engine_options={"dtype": d}), policy[0])
        for d in ("float32", "bfloat16")
    )
    # one layer, products of at most 48 terms: u dominates in bfloat16, √48·u₃₂ in float32
    assert half / float32 == pytest.approx(2**16 / 7, rel=0.01)
    autocast = TrainConfig(engine="vllm", dtype="bfloat16")
    assert rounding_gap(autocast, policy[0]) == half


def test_the_precision_that_samples_counts_as_the_one_that_trains(policy: Any) -> None:
    halves = TrainConfig(dtype="bfloat16"), TrainConfig(sampling_dtype="bfloat16")
    one, other = (rounding_gap(config, policy[0]) for config in halves)
    assert one == other > rounding_gap(TrainConfig(), policy[0])
    elsewhere = TrainConfig(engine="vllm", engine_options={"dtype": "float32"})
    sampled = elsewhere.with_options(sampling_dtype="bfloat16")  # vLLM's own dtype decides there
    assert rounding_gap(sampled, policy[0]) == rounding_gap(elsewhere, policy[0])


def test_under_truncation_a_copy_in_bfloat16_is_in_sync(policy: Any) -> None:
    """A cut moves by bfloat16's rounding of the logits, which float32's slack does not cover."""
    model, tokenizer = policy
    truncation = Truncation(top_p=0.7)
    engine = TransformersEngine(model, tokenizer, truncation, "bfloat16")
    batch = engine.sample(["1 + 2 = ?", "3 -"], 400, 6, 1.0, torch.Generator().manual_seed(0))
    with torch.no_grad():
        whole = token_log_prob(model, batch)
    config = TrainConfig(top_p=truncation.top_p, sampling_dtype="bfloat16")
    assert math.isfinite(log_prob_gap(whole, batch, model, config).rms)
    exact = TrainConfig(top_p=truncation.top_p)
    assert math.isinf(log_prob_gap(whole, batch, model, exact).rms)
