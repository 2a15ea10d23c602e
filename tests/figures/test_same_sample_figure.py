"""The paired excess of the update's own samples."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_runs import write_llm_run

from covlaw.figures.same_sample_optimism import describe, draw, excess
from covlaw.records.ladder import llm_runs


def rewrite(run: Path, change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]) -> None:
    """Change the audits of every step."""
    path = run / "steps.jsonl"
    steps = [json.loads(line) for line in path.read_text().splitlines()]
    for step in steps:
        step["audits"] = change(step["audits"])
    path.write_text("".join(json.dumps(step) + "\n" for step in steps))


def honest(audits: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Let the own samples promise what the others do."""
    for own in audits[1:]:
        own["exact_change"] = audits[0]["exact_change"]
    return audits


def flattering(audits: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Let the own samples promise twice the others' accuracy, exactly."""
    audits = honest(audits)
    for own in audits[1:]:
        other = audits[0]["exact_change"]["estimate"]
        promise = [0.04, *other[1:]]
        own["exact_change"] = {"estimate": promise, "se": [0.001] * 3}
        audits[0]["exact_change"] = {"estimate": [0.02, *other[1:]], "se": [0.001] * 3}
    return audits


@pytest.mark.parametrize(
    ("change", "claim"),
    [
        (honest, "is the same on an update's own samples and on others"),
        (
            flattering,
            "less that on others: accuracy +0.020 (2.0×); the rest within 2 standard errors",
        ),
        (lambda audits: audits[:1], "No audit was made on the update's own samples"),
    ],
)
def test_the_title_is_computed(
    change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]], claim: str, tmp_path: Path
) -> None:
    run = write_llm_run(tmp_path / "run", steps=40)
    rewrite(run, change)
    assert claim in describe(run).title
    draw(run)


def test_differences_are_paired_by_audit(tmp_path: Path) -> None:
    """Errors come from the spread of the differences, not of the changes themselves."""
    run = write_llm_run(tmp_path / "run", steps=40)
    steps = [json.loads(line) for line in (run / "steps.jsonl").read_text().splitlines()]
    pairs = [step["audits"] for step in steps if step["audits"]]
    gaps = np.array([
        np.subtract(own["exact_change"]["estimate"], other["measured"]["estimate"])
        for other, own in pairs
    ])  # fmt: skip
    found = excess(llm_runs(run), "same", "measured")
    assert found.mean == pytest.approx(gaps.mean(0))
    assert found.error == pytest.approx(gaps.std(0, ddof=1) / len(gaps) ** 0.5)
    # two standard errors' share, 95.45 %, at n − 1 = 7 degrees of freedom: GUM, table G.2
    assert len(gaps) == 8
    assert found.half_width == pytest.approx(2.43 * found.error, rel=2e-3)
    [panel] = draw(run).axes
    heights = panel.containers[1].lines[0].get_ydata()
    assert np.asarray(heights) == pytest.approx(gaps.mean(0))
