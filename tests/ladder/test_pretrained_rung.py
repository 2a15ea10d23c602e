"""The rung `pretrained`: climbed where it is named, and honest about how little it can decide."""

import tomllib
from pathlib import Path

import pytest
from inline_pool import Inline
from tiny_model import write_tiny_model

from covlaw.ladder.climb import run
from covlaw.ladder.climb.folder import LadderFolder
from covlaw.ladder.climb.plan import Settings, exact_jobs, training_jobs
from covlaw.ladder.climb.pretrained import COST, base_jobs, pretrained_jobs
from covlaw.ladder.climb.state import ClimbState
from covlaw.llm.rung import PRETRAINED, RUNS_VARIABLE
from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory.statements import STATEMENTS
from covlaw.theory.statements.checking import reason_against
from covlaw.theory.worlds.rungs import RUNG_NAMES
from covlaw.theory.worlds.updates import Update


def test_no_ladder_has_it_that_does_not_name_it() -> None:
    for quick in (False, True):
        usual = Settings(quick=quick)
        assert "pretrained" not in usual.rungs
        assert not base_jobs(usual) and not pretrained_jobs(usual, "out")  # noqa: PT018
        assert not any("pretrained" in phrase for phrase in usual.omitted)
        assert "pretrained" not in usual.to_dict()
    only = Settings(("pretrained",))
    assert not exact_jobs(only) and not training_jobs(only, "out")  # noqa: PT018
    assert [job.name for job in pretrained_jobs(only, "out")] == [
        "pretrained/linear",
        "pretrained/guarded",
    ]
    assert only.to_dict()["pretrained"] == "smollm2"
    assert 2 * COST < 20 * 60
    with pytest.raises(CovlawError, match="did you mean pretrained"):
        Settings(("pretraned",))


def test_what_makes_no_sense_on_sampled_runs_makes_none_here() -> None:
    for statement in STATEMENTS.values():
        if reason := statement.not_applicable.get("llm"):
            assert reason_against(statement, "pretrained") == reason
    light = {id for id, s in STATEMENTS.items() if "pretrained" in s.not_applicable}
    assert light == {"T9", "T10"}  # those of the budget
    assert reason_against(STATEMENTS["T9"], "llm") is None
    assert "pretrained" not in RUNG_NAMES


def test_a_tiny_model_climbs_it_in_seconds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "ProcessPoolExecutor", Inline)
    model = write_tiny_model(tmp_path / "model")
    settings = Settings(("pretrained",), quick=True, pretrained=str(model))
    shown: list[str] = []

    def show(state: ClimbState) -> None:
        shown.extend(state.running)

    state = run.climb(LadderFolder(tmp_path / "out", settings), settings, 1, show)
    assert state.failures == {}
    assert {v["rung"] for v in state.verdicts.values()} == {"pretrained"}
    assert len(state.verdicts) == len(STATEMENTS)
    judged = {v["id"]: v for v in state.verdicts.values() if v["status"] != "not_applicable"}
    assert {"T8", "T20", "T22", "T27"} <= set(judged)
    assert "refuted" not in {v["status"] for v in judged.values()}
    # two audits of a step or two have no power: false variants are as good, and that is said
    for id in ("T8", "T27"):
        assert judged[id]["status"] == "inconclusive"
        assert "no power" in judged[id]["note"]
    for method in ("linear", "guarded"):
        config = tomllib.loads((tmp_path / "out/pretrained" / method / "config.toml").read_text())
        assert config["audit"] == "light"
        assert (config["guard"] != "off") == (method == "guarded")
        assert config["threads"] == 1
    monkeypatch.setenv(RUNS_VARIABLE, str(tmp_path / "out"))
    found = list(PRETRAINED.updates(None, 9))  # type: ignore[arg-type]
    assert len(found) == 2
    assert all(isinstance(update, Update) for update in found)
    state.folder.joinpath("pretrained").rename(tmp_path / "elsewhere")
    with pytest.raises(CovlawError, match="covlaw ladder --rungs pretrained"):
        list(PRETRAINED.updates(None, 9))  # type: ignore[arg-type]
