"""Penalties in words: means over audits, and whom they move for clear."""

import json
from pathlib import Path

import pytest

from covlaw.records.verdict.rows import read_run

REQUIRED = ("law", "clipped", "clipped_centred", "first_order", "exact_change", "measured")


def audit(**rows: list[list[float]]) -> dict[str, object]:
    """A record with the named rows, [estimate, se] each."""
    found = {name: {"estimate": value, "se": error} for name, (value, error) in rows.items()}
    zero = {"estimate": [0.0, 0.0], "se": [0.0, 0.0]}
    return {"sample": "independent", **dict.fromkeys(REQUIRED, zero), **found}


def run(folder: Path, *records: dict[str, object]) -> Path:
    folder.mkdir()
    (folder / "config.toml").write_text('kind = "llm"\n')
    names = {"objectives": ["right", "brief"], "seed": 0, "scalarizer": "linear", "schema": 1}
    means = {"reward_mean": [0.1, 0.2], "reward_se": [0.1, 0.1], "weights": None}
    lines = [
        json.dumps({**names, **means, "step": k, "audits": [record]})
        for k, record in enumerate(records)
    ]
    (folder / "steps.jsonl").write_text("\n".join(lines) + "\n")
    return folder


def test_a_clear_fall_is_said_and_noise_is_not(tmp_path: Path) -> None:
    """Mean −.03 ± √(.01² + .01²)/2 = .0071 falls for clear; +.01 ± .0071 is within 2 errors."""
    folder = run(
        tmp_path / "one",
        audit(penalty=[[-0.04, 0.02], [0.01, 0.01]]),
        audit(penalty=[[-0.02, 0.0], [0.01, 0.01]]),
    )
    (line,) = read_run(folder).penalties
    assert line.startswith("one: the KL and entropy terms of the loss")
    assert "lowers right (-0.0300 ± 0.0071)" in line
    assert "no clear effect on brief (+0.0100 ± 0.0071)" in line


@pytest.mark.parametrize(("value", "verb"), [(0.5, "raises"), (-0.5, "lowers")])
def test_the_kl_has_a_line_of_its_own(tmp_path: Path, value: float, verb: str) -> None:
    folder = run(tmp_path / "two", audit(kl_objective=[[value, 0.0], [0.1, 0.1]]))
    (line,) = read_run(folder).penalties
    assert f"the KL alone, forecast per unit of the tilt along the signal: {verb} right" in line


def test_runs_without_penalties_say_nothing(tmp_path: Path) -> None:
    assert read_run(run(tmp_path / "none", audit())).penalties == []
