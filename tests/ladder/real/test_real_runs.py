"""`make real` at a tiny size: an estimate first, lines at once, a record, and a second call."""

import json
from pathlib import Path

import pytest
from tiny_model import write_tiny_model

from covlaw.ladder.real.__main__ import PAGE, main
from covlaw.ladder.real.estimate import FLOAT32, Speed, seconds_of, seconds_of_judging, told
from covlaw.ladder.real.judged import SIZES, Sizes
from covlaw.ladder.real.record import DIGITS, jobs_in, write_record
from covlaw.ladder.real.settings import METHODS, jobs_of, recorded_threads
from covlaw.llm.cores import physical_cores
from covlaw.llm.plan.work import step_draws
from covlaw.records.real import FILE, difference, held_out_change, real_record
from covlaw.theory._numerics.errors import CovlawError

TINY = (
    *("prompts=2", "completions=4", "max_tokens=6", "train_layers=1", "dtype=float32"),
    *("audit_prompts=2", "audit_completions=4", "measured_completions=2", "learning_rate=1e-2"),
    *("temperature=1.0", "task_options.difficulty=digits", "threads=1"),
)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("model"))


def command(model: Path, out: Path, *more: str) -> list[str]:
    sizes = ["--model", str(model), "--out", str(out), "--steps", "2", "--audits", "1",
             "--prompts", "4"]  # fmt: skip
    return [*sizes, *more, "--set", *TINY]


def test_it_ends_with_a_record_and_a_page_and_goes_on_from_there(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command(model, tmp_path / "real")) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "minutes here" in lines[2]  # before the first step
    assert sum(": step " in line for line in lines) == 4
    record = json.loads((tmp_path / "real" / FILE).read_text(encoding="utf-8"))
    assert record["objectives"] == ["right", "ends", "thorough"]
    assert set(record["runs"]) == {"linear-seed0", "guarded-seed0"}
    assert record["runs"]["linear-seed0"]["guard"] is None
    guard = record["runs"]["guarded-seed0"]["guard"]
    assert all(len(guard[name]) == 3 for name in ("share", "before", "after"))
    assert sum(guard["share"]) <= 1 + 3 * 0.5 * 10**-DIGITS  # each is rounded, and at most 1
    for run in record["runs"].values():
        for cell in run["held_out"].values():
            assert cell["low"] <= cell["mean"] <= cell["high"]
    assert main(command(model, tmp_path / "real")) == 0
    printed = capsys.readouterr().out
    assert ": step " not in printed
    assert "judging" not in printed
    assert json.loads((tmp_path / "real" / FILE).read_text(encoding="utf-8")) == record
    assert_the_page_shows_what_was_asked((tmp_path / "real" / PAGE).read_text(encoding="utf-8"))
    assert_intervals_are_those_of_the_prompts(real_record(tmp_path / "real"))
    (tmp_path / "real" / "guarded-seed0" / "model" / "config.json").unlink()
    said: list[str] = []
    kept = write_record(tmp_path / "real", jobs_in(tmp_path / "real"), said.append, sizes=Sizes(4))
    assert list(kept["runs"]) == ["linear-seed0"]  # and what was judged of it stays
    assert kept["runs"]["linear-seed0"] == record["runs"]["linear-seed0"]
    assert said == ["not finished, and left out: guarded-seed0"]


def test_runs_are_not_judged_beside_another_base(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, asked = write_tiny_model(tmp_path / "model"), ["--methods", "linear"]
    assert main(command(model, tmp_path / "real", *asked)) == 0
    record = (tmp_path / "real" / FILE).read_bytes()
    write_tiny_model(model)  # other random weights
    assert main(command(model, tmp_path / "real", *asked)) == 2
    assert "base model changed since the run" in capsys.readouterr().err
    assert (tmp_path / "real" / FILE).read_bytes() == record


def assert_the_page_shows_what_was_asked(page: str) -> None:
    """Curves with and without the guard, forecasts, held-out changes."""
    assert all(name in page for name in ("linear-seed0", "guarded-seed0", "thorough"))
    assert '<figure id="real"' in page
    section = page[page.index('id="held-out">') : page.index('id="settings"')]
    for row in ("linear-seed0, measured", "guarded-seed0, exact form", "law's forecast"):
        assert row in section.replace("&#39;", "'")
    assert "guarded − linear, seed 0" in section


def assert_intervals_are_those_of_the_prompts(record: dict) -> None:
    run = record["runs"]["linear-seed0"]
    for j, (name, found) in enumerate(
        zip(record["objectives"], held_out_change(record, "linear"), strict=True)
    ):
        own = [after[j] - before[j] for before, after in
               zip(record["base"]["by_prompt"], run["by_prompt"], strict=True)]  # fmt: skip
        assert found.mean == pytest.approx(sum(own) / len(own))
        # five digits are kept of each prompt's mean
        assert found.mean == pytest.approx(run["held_out"][name]["mean"], abs=1e-4)
    one, other = (held_out_change(record, method) for method in ("linear", "guarded"))
    for apart, a, b in zip(difference(record), one, other, strict=True):
        assert apart.mean == pytest.approx(b.mean - a.mean)


def test_a_dry_run_says_how_long_and_writes_nothing(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command(model, tmp_path / "real", "--dry-run")) == 0
    printed = capsys.readouterr().out
    assert "2 runs of 2 steps and their evaluation: about" in printed
    assert "1 thread, on which the last bits depend" in printed
    assert not (tmp_path / "real").exists()


def test_a_run_goes_on_with_as_many_threads_as_it_began_with(tmp_path: Path) -> None:
    jobs = jobs_of(["linear", "guarded"], 1)
    assert recorded_threads(tmp_path, jobs) == 0
    assert jobs[0].config(tmp_path, {"threads": 0}).threads == physical_cores()
    (tmp_path / "linear-seed0").mkdir()
    (tmp_path / "linear-seed0" / "config.toml").write_text("threads = 13\n")
    assert jobs[1].config(tmp_path, {"threads": recorded_threads(tmp_path, jobs)}).threads == 13


def test_judging_is_part_of_the_estimate(tmp_path: Path) -> None:
    config = jobs_of(["linear"], 1)[0].config(tmp_path, {})
    draws, slow = step_draws(config), Speed(draw=1.0, forward=0.0)
    judging = 64 * 8 * 3  # the base on both splits, the run on one
    # bfloat16 samples the steps, audits draw in float32
    training = config.steps * draws + FLOAT32 * config.audits * (16 * 8 * 3)
    assert seconds_of(config, slow) == training
    assert seconds_of_judging(1, slow, SIZES) == judging
    seconds = training + FLOAT32 * judging  # the run trains in bfloat16, and is judged in float32
    assert f"about {seconds / 60:.0f} minutes" in told([config], {draws: slow}, SIZES)


def test_runs_go_seed_by_seed_and_unknown_ones_are_named(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert [job.name for job in jobs_of(["linear", "mgda"], 2)] == [
        *("linear-seed0", "mgda-seed0"),
        *("linear-seed1", "mgda-seed1"),
    ]
    with pytest.raises(CovlawError, match="did you mean guarded"):
        jobs_of(["gaurded"], 1)
    assert main(["--methods", "gaurded"]) == 2
    assert "gaurded" in capsys.readouterr().err
    assert set(METHODS) == {"linear", "guarded", "ctwa-fast", "mgda"}
