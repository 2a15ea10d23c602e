"""Truncated importance weights: an engine of other weights trains instead of stopping the run."""

import copy
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from small_runs import small_run

from covlaw.llm.config.train_config import TrainConfig
from covlaw.llm.sampling.engine import Completions, TransformersEngine
from covlaw.llm.sampling.engine_correction import gap_record, importance_weight, weighed
from covlaw.llm.train import train
from covlaw.records.runs import STEPS, read_lines
from covlaw.records.schema.files import STEP
from covlaw.theory._numerics.errors import CovlawError


class Stale(TransformersEngine):
    """Samples from weights that a sync never reaches."""

    def sync(self, policy: torch.nn.Module) -> None:
        del policy


def stale(settings: Any, model: Any, tokenizer: Any, prompts: Any) -> Stale:
    """The policy at the start, its output head a little off."""
    del settings, prompts
    own = copy.deepcopy(model)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in own.parameters():
            parameter += 0.05 * torch.randn(parameter.shape, generator=generator)
    return Stale(own, tokenizer)


HERE = f"stale={Path(__file__)}:stale"


def drawn() -> Completions:
    """Two completions of 2 and 1 tokens; π/μ = (2, 4) and (½)."""
    mask = torch.tensor([[True, True], [True, False]])
    log_prob = torch.tensor([[-2.0, -3.0], [-1.0, 0.0]])
    one = torch.ones(2, 1)
    prompt = torch.tensor([0, 0])
    return Completions(
        one.long(), one.bool(), torch.ones(2, 2).long(), mask, log_prob, prompt, [""] * 2
    )


def config(**settings: Any) -> TrainConfig:
    return TrainConfig(engine_correction="tis", **settings)


def test_weights_by_hand() -> None:
    rows = drawn()
    own = rows.log_prob + torch.tensor([[math.log(2), math.log(4)], [-math.log(2), 7.0]])
    token = importance_weight(own, rows, config(engine_cap=3.0))
    assert token.tolist() == [pytest.approx([2, 3], rel=1e-6), pytest.approx([0.5, 1], rel=1e-6)]
    whole = importance_weight(own, rows, config(engine_cap=3.0, engine_level="sequence"))
    assert whole.tolist() == pytest.approx([3, 0.5], rel=1e-6)
    found = gap_record(own, rows, config(engine_cap=3.0, engine_level="sequence"))
    assert found["cut"] == 0.5
    assert found["sequence_q99"] == pytest.approx(math.log(8), rel=1e-6)
    assert found["token_q01"] == pytest.approx(-math.log(2), rel=1e-6)


def test_weights_of_either_shape_weigh_advantages_of_either() -> None:
    row, grid = torch.tensor([2.0, 3.0]), torch.ones(2, 2)
    assert weighed(row, row).tolist() == [4, 9]
    assert weighed(row, grid).tolist() == weighed(grid, row).tolist() == [[2, 2], [3, 3]]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"engine_correction": "is"}, "tis"),
        ({"engine_cap": 0.0}, "cap"),
        ({"engine_level": "group"}, "sequence"),
        ({"engine_correction": "tis", "top_k": 4}, "top_k"),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(CovlawError, match=words):
        TrainConfig(**settings)


def test_another_sampler_stops_a_run_unless_it_is_corrected(
    policy_folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(CovlawError, match="engine_correction"):
        train(small_run(policy_folder, tmp_path / "stops", engine=HERE, steps=2, audits=0))
    run = tmp_path / "runs"
    settings = small_run(
        policy_folder, run, engine=HERE, steps=3, audits=2, audit_prompts=12,
        engine_correction="tis", engine_level="sequence", engine_cap=1.5,
    )  # fmt: skip
    train(settings)
    steps = list(read_lines(run / STEPS))
    for step in steps:
        STEP(step, "step", 2)
        assert step["engine_log_prob_gap"] > 1e-3
        assert step["engine_gap"]["token_q99"] > step["engine_gap"]["token_q01"]
        assert 0 <= step["engine_gap"]["cut"] <= 1
    found = [a["engine"] for s in steps for a in s["audits"] if a["sample"] == "independent"]
    assert len(found) == 2
    for record in found:
        target, cut = (record[name]["estimate"] for name in ("target", "truncated"))
        for one, other, bound in zip(target, cut, record["bound"], strict=True):
            assert abs(one - other) <= bound + 1e-12  # sums of some 100 terms below 10
        assert 1 <= record["effective"] <= settings.audit_completions


def test_weights_a_token_train_and_leave_the_law_of_completions_unknown(
    policy_folder: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    train(small_run(policy_folder, run, engine=HERE, steps=2, audits=1, engine_correction="tis"))
    audits = [a for s in read_lines(run / STEPS) for a in s["audits"]]
    assert audits
    assert all("engine" not in a and a["law"]["estimate"] == [None, None] for a in audits)
    assert all(None not in a["exact_change"]["estimate"] for a in audits)


def test_the_same_policy_is_weighed_by_one(policy_folder: Path, tmp_path: Path) -> None:
    """Of the trainer's own module the weights are 1 up to rounding, and the run learns the same."""
    found = []
    for name, settings in (("plain", {}), ("tis", {"engine_correction": "tis"})):
        train(small_run(policy_folder, tmp_path / name, steps=2, audits=0, **settings))
        found.append([s["reward_mean"] for s in read_lines(tmp_path / name / STEPS)])
    assert found[0] == found[1]
