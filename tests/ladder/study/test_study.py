"""A study: deterministic, resumable after kill -9, and plain about mistakes."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from inline_pool import Inline

from covlaw.ladder.cli import main
from covlaw.ladder.study import run as study_run
from covlaw.ladder.study.folder import RUNS, SUMMARY, TABLE, StudyFolder
from covlaw.ladder.study.plan import all_runs, study_jobs
from covlaw.ladder.study.settings import StudySettings
from covlaw.theory._numerics.errors import CovlawError

ALGORITHMS = ("linear", "ctwa", "mgda", "mgda-ref")
FEW = ["--worlds", "bandit", "tabular", "--scalarizers", *ALGORITHMS, "--quick", "--seeds", "2"]


@pytest.fixture(autouse=True)
def inline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(study_run, "ProcessPoolExecutor", Inline)


def study(out: Path, *arguments: str) -> int:
    return main(["study", "--out", str(out), *arguments])


def contents(out: Path) -> tuple[bytes, bytes]:
    return (out / TABLE).read_bytes(), (out / SUMMARY).read_bytes()


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("study") / "whole"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(study_run, "ProcessPoolExecutor", Inline)
        assert study(out, *FEW) == 0
    return out


def test_the_same_study_twice_gives_the_same_bytes(finished: Path, tmp_path: Path) -> None:
    assert study(tmp_path / "again", *FEW) == 0
    assert contents(tmp_path / "again") == contents(finished)
    assert str(tmp_path).encode() not in b"".join(contents(tmp_path / "again"))


def test_the_table_is_tidy(finished: Path) -> None:
    rows = lines(finished / TABLE)
    # worlds, optimisers, cells, seeds, algorithms, objectives
    assert len(rows) == 2 * 2 * 2 * 2 * len(ALGORITHMS) * 3
    keys = [(row["run"], row["objective"]) for row in rows]
    assert len(set(keys)) == len(keys)
    settings = ("world", "cell", "conflict", "seed", "algorithm", "signal", "clip", "reference")
    measures = ("start", "end", "best", "regression", "sacrificed", "dominated_earlier")
    alarms = ("hypervolume", "alarms", "falls", "hits", "lead_time", "weights", "dominated_by")
    for row in rows:
        assert {*settings, *measures, *alarms} <= set(row)
        assert not any(isinstance(row[k], list) for k in (*measures, *alarms[:-1]))
        assert row["hits"] <= min(row["alarms"], row["falls"])
        lost = max(0.0, (row["start"] - row["end"]) / (row["start"] - row["floor"]))
        assert row["regression"] == pytest.approx(lost)
        assert row["sacrificed"] == (row["regression"] > 0.1)
    assert "NaN" not in (finished / TABLE).read_text()


def test_dominance_among_algorithms_is_within_one_world(finished: Path) -> None:
    runs = lines(finished / RUNS)
    named = {row["run"]: row["dominated_by"] for row in lines(finished / TABLE)}
    for row in runs:
        same = [
            other
            for other in runs
            if all(
                other[k] == row[k]
                for k in (*("world", "cell", "seed", "signal", "clip"), "optimiser", "guard")
            )
        ]
        assert sorted(other["algorithm"] for other in same) == sorted(ALGORITHMS)
        expected = [
            other["algorithm"]
            for other in same
            if all(a >= b for a, b in zip(other["end"], row["end"], strict=True))
            and any(
                a > b + m for a, b, m in zip(other["end"], row["end"], row["margin"], strict=True)
            )
        ]
        assert sorted(named[row["run"]]) == sorted(expected)


def test_the_summary_says_who_is_sacrificed(finished: Path) -> None:
    summary = json.loads((finished / SUMMARY).read_text())
    cells = {(c["algorithm"], c["world"]): c for c in summary["table"]}
    assert {world for _, world in cells} == {
        *("bandit sgd-1", "bandit adamw-.1", "tabular sgd-2", "tabular adamw-.1")
    }, "worlds and optimisers are our choice: nothing is averaged over them"
    rows = lines(finished / RUNS)
    for (algorithm, world), cell in cells.items():
        where = world.split()
        own = [
            r for r in rows if [r["algorithm"], r["world"], r["optimiser"]] == [algorithm, *where]
        ]
        share = sum(any(r["sacrificed"]) for r in own) / len(own)
        assert cell["runs"] == len(own)
        assert cell["sacrifices"]["mean"] == pytest.approx(share)
        assert cell["sacrifices"]["low"] <= share <= cell["sacrifices"]["high"]
        alarms, hits = (sum(sum(r[k]) for r in own) for k in ("alarms", "hits"))
        assert cell["precision"] == (hits / alarms if alarms else None)
    prices = {(p["scalarizer"], p["world"]): p for p in summary["price"]}
    assert {name for name, _ in prices} == {"mgda"}
    difference = cells["mgda-ref", "tabular sgd-2"]["hypervolume"]["mean"]
    difference -= cells["mgda", "tabular sgd-2"]["hypervolume"]["mean"]
    assert prices["mgda", "tabular sgd-2"]["hypervolume"]["mean"] == pytest.approx(difference)
    assert any("world transformer" in phrase for phrase in summary["omitted"])


def test_the_summary_has_a_line_a_factor_and_algorithm(finished: Path) -> None:
    summary = json.loads((finished / SUMMARY).read_text())
    rows, found = lines(finished / RUNS), {}
    for line in summary["lines"]:
        for point in line["points"]:
            found[line["world"], line["factor"], line["algorithm"], point["level"]] = point
            own = [
                any(row["sacrificed"])
                for row in rows
                if (row["world"], row["algorithm"]) == (line["world"], line["algorithm"])
                and row[line["factor"]] == point["level"]
            ]
            assert point["mean"] == pytest.approx(sum(own) / len(own))
            assert point["low"] <= point["mean"] <= point["high"]
    swept = {key[:2] for key in found}
    assert swept >= {("bandit", "scale"), ("bandit", "conflict"), ("tabular", "clip")}
    assert ("tabular", "scale") not in swept
    assert {key[2] for key in found} == set(ALGORITHMS)


KILLED = """
import os, signal, sys
from test_study import Inline, study
from covlaw.ladder.study import run as study_run
from covlaw.records import resumable_folder

study_run.ProcessPoolExecutor = Inline
append, written = resumable_folder.append_line, []

def kill(path, row):
    if len(written) == {after}:
        with path.open("a") as file:
            file.write('{{"run": "bandit/0/0/ctwa/raw/on/sgd-1", "end": [0.1')
        os.kill(os.getpid(), signal.SIGKILL)
    written.append(row)
    append(path, row)

resumable_folder.append_line = kill
study(*sys.argv[1:])
"""


def test_a_killed_study_ends_as_an_unbroken_one(finished: Path, tmp_path: Path) -> None:
    """kill -9 in the middle of a line, in the middle of a job."""
    out, after = tmp_path / "killed", 11
    here = Path(__file__).parent
    places = (str(here), str(here.parents[1] / "_shared"), os.environ.get("PYTHONPATH", ""))
    script = f"import pathlib, sys; sys.argv[1] = pathlib.Path(sys.argv[1])\n{KILLED}"
    killed = subprocess.run(  # noqa: S603
        [sys.executable, "-c", script.format(after=after), str(out), *FEW],
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(places)},
        capture_output=True,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    kept = (out / RUNS).read_text().splitlines()
    assert len(kept) == after + 1
    assert study(out, *FEW) == 0
    assert (out / RUNS).read_text().splitlines()[:after] == kept[:after]
    assert contents(out) == contents(finished)


def test_a_study_killed_in_its_first_line_starts_again(finished: Path, tmp_path: Path) -> None:
    out = tmp_path / "first"
    StudyFolder(out, settings_of_few())
    (out / RUNS).write_bytes('{"run": "bandit/0/0/ctwa/raw/on/sgd-1", "name": "η'.encode()[:-1])
    assert study(out, *FEW) == 0
    assert contents(out) == contents(finished)


def settings_of_few() -> StudySettings:
    return StudySettings(("bandit", "tabular"), ALGORITHMS, seeds=2, quick=True)


def test_a_finished_study_is_only_shown_again(
    finished: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(study_run, "work", None)  # nothing is left to do
    before = contents(finished)
    assert study(finished, *FEW) == 0
    assert contents(finished) == before
    shown = capsys.readouterr().out
    assert "% of runs that sacrifice an objective" in shown
    assert all(name in shown for name in ALGORITHMS)
    tables = [line for line in shown.splitlines() if str(finished) not in line]
    assert max(map(len, tables)) <= 80
    assert "…" not in shown, "no number is cut"


def test_another_seed_draws_other_worlds(finished: Path, tmp_path: Path) -> None:
    study(tmp_path / "b", *FEW, "--seed", "7")
    first, second = lines(finished / TABLE), lines(tmp_path / "b" / TABLE)
    assert len(first) == len(second)
    assert all(a["start"] != b["start"] for a, b in zip(first, second, strict=True))


def test_a_job_that_crashes_costs_itself_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    work = study_run.work

    def crash(job: Any, folder: str) -> Any:
        if job.name == "bandit/0/sgd-1/0":
            raise ZeroDivisionError("on purpose")
        return work(job, folder)

    monkeypatch.setattr(study_run, "work", crash)
    assert study(tmp_path / "c", *FEW) == 3
    assert "8 runs crashed" in capsys.readouterr().out
    assert "on purpose" in (tmp_path / "c" / "failures.log").read_text()
    monkeypatch.setattr(study_run, "work", work)
    assert study(tmp_path / "c", *FEW) == 0, "what crashed is tried again"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--worlds", "bandits"], "unknown world of the study 'bandits': did you mean bandit"),
        (["--scalarizers", "mgda-reff"], "unknown scalarizer 'mgda-reff': did you mean mgda-ref"),
        (["--signals", "gpro"], "unknown signal 'gpro': did you mean grpo?"),
        (["--seeds", "-1"], "seeds is -1: use a whole number ≥ 0"),
        (["--jobs", "0"], "jobs is 0: use a whole number ≥ 1"),
        (["--quick", "--full"], "quick and full: choose one"),
    ],
)
def test_mistakes_are_named(
    tmp_path: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert study(tmp_path / "x", *arguments) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "x").exists()


def test_another_study_in_the_folder_is_refused(
    finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert study(finished, *FEW, "--seed", "1") == 2
    assert "seed is 0 there, 1 here" in capsys.readouterr().err


def test_every_algorithm_gets_the_same_treatments() -> None:
    """And every treatment its turn, as evenly as the seeds allow."""
    settings = StudySettings(("bandit", "transformer"))
    runs = all_runs(settings)
    assert len({run.name for run in runs}) == len(runs)
    assert {run for job in study_jobs(settings) for run in job.runs} == set(runs)
    by_algorithm = {
        name: [run._replace(algorithm="") for run in runs if run.algorithm == name]
        for name in settings.scalarizers
    }
    first = by_algorithm["linear"]
    assert all(others == first for others in by_algorithm.values())
    for world in settings.worlds:
        turns = [(r.signal, r.clip) for r in first if r.world == world]
        counts = [turns.count(treatment) for treatment in settings.treatments]
        assert max(counts) - min(counts) <= 1
    met = {r.seed: set() for r in first}  # type: dict[int, set[tuple[str, str]]]
    for run in first:
        if run.world == "transformer":
            met[run.seed].add((run.signal, run.clip))
    assert all(len(met[seed]) >= 7 for seed in range(4)), "no seed keeps meeting the same ones"
    full = all_runs(StudySettings(("bandit",), ("linear",), seeds=2, full=True))
    assert len(full) == 6 * 2 * 8 * 2


def test_settings_without_transformers_name_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    from covlaw.ladder.study import settings as study_settings

    monkeypatch.setattr(study_settings, "find_spec", lambda name: None)
    with pytest.raises(CovlawError, match=r"pip install 'covlaw\[llm\]'"):
        StudySettings(("transformer",))
    assert StudySettings(("bandit",)).worlds == ("bandit",)
