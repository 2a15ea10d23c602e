"""Every scalarizer trains in the loop, and a killed run ends as an unbroken one, bit for bit."""

import inspect
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from covlaw.llm.config.train_config import TrainConfig
from covlaw.llm.train import train
from covlaw.records.runs import STEPS, read_config, read_lines
from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory.scalarizers import SCALARIZERS, make_scalarizer

OWN_OPTIONS: dict[str, dict[str, Any]] = {
    "dynamic": {"step": 5.0},  # at the default the weights hardly move in a few steps
    "ctwa": {"target": 0.01, "step": 5.0},
}
WEIGHTED = {"linear", "mgda", "gradnorm", "lagrangian", "dynamic", "dynamic_hypervolume", "ctwa"}
"""Among those that record weights; the signal of others is no weighted score."""


def variants() -> list[Any]:
    """Each scalarizer as published and, where it has one, as its reference implementation."""
    found = []
    for name, cls in SCALARIZERS.items():
        options = OWN_OPTIONS.get(name, {})
        found.append(pytest.param(name, options, id=name))
        if "reference" in inspect.signature(cls).parameters:
            own = {key: value for key, value in options.items() if name != "dynamic"}
            found.append(pytest.param(name, own | {"reference": True}, id=f"{name}-reference"))
    return found


def settings(folder: Path, out: Path, name: str, options: dict[str, Any]) -> TrainConfig:
    try:
        make_scalarizer(name, ("first", "second"), **options)
    except CovlawError as error:
        if "pip install" in str(error):
            pytest.skip(str(error))
        raise
    return TrainConfig.preset(
        "cpu-demo",
        out=str(out),
        model=str(folder),
        rewards=["own_rewards:digits", "own_rewards:brief"],
        scalarizer=name,
        options={name: options},
        steps=2,
        prompts=3,
        completions=4,
        observed=3,
        max_tokens=5,
        learning_rate=5e-3,
        audits=1,
        audit_prompts=3,
        audit_completions=4,
        measured_completions=4,
        checkpoint_every=1,
    )


def contents(run: Path) -> dict[str, bytes]:
    """Everything of a run that must compare bit for bit."""
    checkpoints = sorted((run / "checkpoints").glob("*/*.safetensors"))
    audits = sorted((run / "audits").iterdir())
    files = [run / STEPS, *checkpoints, *audits, run / "model" / "model.safetensors"]
    return {str(file.relative_to(run)): file.read_bytes() for file in files}


class KilledError(Exception):
    """Stands in for kill -9."""


def train_with_kills(config: TrainConfig, moments: tuple[int, ...]) -> Path:
    """Kill after each of the moments, then let the run finish."""
    for moment in moments:

        def kill(done: int, total: int, record: dict[str, Any], moment: int = moment) -> None:
            if done == moment:
                raise KilledError

        with pytest.raises(KilledError):
            train(config, kill)
    return train(config)


@pytest.mark.parametrize(("name", "options"), variants())
def test_it_trains_records_and_resumes_bit_for_bit(
    policy_folder: Path, tmp_path: Path, name: str, options: dict[str, Any]
) -> None:
    config = settings(policy_folder, tmp_path / "killed", name, options)
    unbroken = train(replace(config, out=str(tmp_path / "unbroken")))
    steps = list(read_lines(unbroken / STEPS))
    assert [s["scalarizer"] for s in steps] == [name] * 2
    assert any(s["grad_norm"] > 0 for s in steps)
    weights = [s["weights"] for s in steps]
    assert all(w is None for w in weights) or all(len(w) == 2 for w in weights)
    assert weights[0] is not None or name not in WEIGHTED
    if name in ("mgda", "gradnorm") and "reference" not in options:
        assert weights[-1] != pytest.approx([0.5, 0.5], abs=1e-6)  # there was something in it
    assert contents(train_with_kills(config, (1,))) == contents(unbroken)


@pytest.mark.slow
@pytest.mark.parametrize("normaliser", ["dr_grpo", "reinforce++", "pooled_within"])
@pytest.mark.parametrize(("name", "options"), variants())
def test_longer_runs_of_every_kind_resume_bit_for_bit(
    policy_folder: Path, tmp_path: Path, name: str, options: dict[str, Any], normaliser: str
) -> None:
    config = settings(policy_folder, tmp_path / "killed", name, options)
    config = replace(
        config,
        normaliser=normaliser,
        aggregation="sequence_mean" if normaliser == "dr_grpo" else "token_mean",
        steps=5,
        audits=2,
        kl_coefficient=0.01,
        epochs=2,
        micro_batch=5,
        checkpoint_every=2,
    )
    unbroken = train(replace(config, out=str(tmp_path / "unbroken")))
    assert contents(train_with_kills(config, (1, 3))) == contents(unbroken)


@pytest.mark.parametrize(("name", "options"), variants())
def test_the_run_names_all_options(
    policy_folder: Path, tmp_path: Path, name: str, options: dict[str, Any]
) -> None:
    config = settings(policy_folder, tmp_path / "run", name, options)
    recorded = config.to_dict()["options"][name]
    parameters = list(inspect.signature(SCALARIZERS[name]).parameters.values())[1:]
    missing = {p.name for p in parameters} - recorded.keys()
    assert all(p.default is None for p in parameters if p.name in missing)  # TOML has no null
    assert recorded.items() >= options.items()


def test_the_recorded_options_rebuild_the_run(policy_folder: Path, tmp_path: Path) -> None:
    run = train(replace(settings(policy_folder, tmp_path / "a", "ctwa", {}), steps=1))
    assert read_config(run)["options"]["ctwa"]["cap"] == 10.0
    again = TrainConfig.from_dict(read_config(run) | {"out": str(tmp_path / "b")})
    assert contents(train(again)) == contents(run)


@pytest.mark.parametrize("field", ["before", "after"])
@pytest.mark.parametrize("wanted", ["mass", "prompt_mass", "hessian"])
def test_what_samples_do_not_show_is_refused_at_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wanted: str, field: str
) -> None:
    monkeypatch.setattr(SCALARIZERS["linear"], field, frozenset({wanted, "covariance"}))
    with pytest.raises(CovlawError, match=f"'linear' with these options needs {wanted}, which"):
        settings(tmp_path / "nowhere", tmp_path / "run", "linear", {})
    assert not (tmp_path / "run").exists()
