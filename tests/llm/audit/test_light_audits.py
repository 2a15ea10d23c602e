"""A light audit: measured change and exact form as in a full one, without gradients or budget."""

from pathlib import Path

import pytest
import torch
from small_runs import small_run

from covlaw.llm.audit import terms
from covlaw.llm.audit.record import load_evidence
from covlaw.llm.config.train_config import TrainConfig
from covlaw.llm.train import train
from covlaw.records.runs import STEPS, read_lines
from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory.estimators.covariance import exact_change, within_prompt_covariance


@pytest.fixture(scope="module")
def runs(policy_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    out, settings = (
        tmp_path_factory.mktemp("runs"),
        {"steps": 2, "audits": 1, "learning_rate": 1e-4},
    )
    return {
        kind: train(small_run(policy_folder, out / kind, audit=kind, **settings))
        for kind in ("full", "light")
    }


def audits(run: Path) -> list[dict]:
    return next(read_lines(run / STEPS))["audits"]


def test_the_measured_change_is_the_full_audits(runs) -> None:
    full, light = audits(runs["full"]), audits(runs["light"])
    assert len(full) == 2
    assert len(light) == 1
    assert light[0]["measured"] == full[0]["measured"]
    assert "budget" in full[0]
    assert not {"budget", "short", "optimism"} & set(light[0])


def test_its_entries_are_those_of_its_own_sample(runs) -> None:
    record = audits(runs["light"])[0]
    names = ("first", "second")
    file = next((runs["light"] / "audits").glob("*.safetensors"))
    evidence, _ = load_evidence(file, names)
    fields, rewards, prompt = evidence.fields, evidence.rewards, evidence.prompt
    wanted = {
        "law": within_prompt_covariance(rewards, fields.score, prompt),
        "clipped": within_prompt_covariance(rewards, evidence.advantage, prompt),
        "first_order": within_prompt_covariance(rewards, fields.step, prompt),
        "exact_change": exact_change(rewards, fields.log_ratio, prompt),
    }
    for name, found in wanted.items():
        assert record[name]["estimate"] == pytest.approx(found.estimate.tolist(), rel=1e-12)
        assert record[name]["se"] == pytest.approx(found.standard_error.tolist(), rel=1e-12)
    # a step of 1e-4 on 10,000 weights: the forecast along it is most of the change
    gap = (fields.step - fields.log_ratio).norm()
    assert gap < 0.2 * fields.log_ratio.norm()
    assert gap > 0


def test_it_takes_no_expected_gradient(
    policy_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a light audit took a gradient of its own")

    monkeypatch.setattr(terms, "expected_ascent", refuse)
    train(small_run(policy_folder, tmp_path / "light", audit="light", steps=1, audits=1))
    with pytest.raises(AssertionError, match="a gradient of its own"):
        train(small_run(policy_folder, tmp_path / "full", audit="full", steps=1, audits=1))


def test_what_a_kl_and_a_cut_add_needs_no_gradient(policy_folder: Path, tmp_path: Path) -> None:
    settings = {"steps": 1, "audits": 1, "kl_coefficient": 0.2, "kl_place": "loss", "top_p": 0.9}
    full, light = (
        audits(train(small_run(policy_folder, tmp_path / kind, audit=kind, **settings)))[0]
        for kind in ("full", "light")
    )
    added = {"kl_objective", "leak"}
    assert added <= set(light)
    assert added | {"penalty"} <= set(full)
    assert "penalty" not in light
    # at π_old = π_ref, before the first step, k3 of a token that both agree on pulls at nothing
    assert light["kl_objective"]["estimate"] == full["kl_objective"]["estimate"] == [0.0, 0.0]
    assert light["leak"]["mass_se"] > 0


def test_the_weight_of_a_single_inner_step_is_the_advantage(runs) -> None:
    """At π_old nothing is clipped, W = A (T26), so that no log-prob is read for it."""
    file = next((runs["full"] / "audits").glob("*.safetensors"))
    evidence, _ = load_evidence(file, ("first", "second"))
    [(weight, log_ratio)] = evidence.inner
    # a mean over the tokens of a row of equal numbers
    assert torch.allclose(weight, evidence.advantage, rtol=16 * 2.0**-53, atol=0)
    assert not log_ratio.any()


def test_gradients_that_a_light_audit_lacks_are_refused() -> None:
    with pytest.raises(CovlawError, match="a light audit takes no gradients"):
        TrainConfig(audit="light", audit_gramian=True)
