"""The verdict on T8 of the recorded audits, and of what they would say if something were false."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from covlaw.figures._drawing.render import recorded
from covlaw.records.ladder import verdict_file
from covlaw.records.lines import read_records
from covlaw.theory.statements import STATEMENTS, Verdict, check_on
from covlaw.theory.statements._pooled import pooled
from covlaw.theory.statements._support.scaled import scaled
from covlaw.theory.statements.base import Halves, NegativeControl, Sides
from covlaw.theory.statements.judge import ERROR_RATE, critical_value

LADDER = recorded("ladder")
T8 = STATEMENTS["T8"]
FALSE = (0.0, 0.5, 2.0, -0.5, -1.0)
"""Times the covariance."""


def column(values: Sequence[float]) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def sides_of(line: dict) -> Sides:
    halves = {n: v if n == "scale" else column(v) for n, v in line["halves"].items()}
    vectors = (column(line[n]) for n in ("measured", "predicted", "tolerance", "standard_error"))
    return Sides(*vectors, line["freedom"], Halves(**halves))


@pytest.fixture(scope="module")
def audits() -> list[Sides]:
    return [sides_of(line) for line in read_records(LADDER / "judged.jsonl")]


def own(side: Sides, _: np.random.Generator) -> Sides:
    return side


def verdict(audits: Sequence[Sides], claim: float = 1.0) -> Verdict:
    """Of Δ = claim·Cov(r, ρ), with T8's false variants that need no rewards."""
    controls = [
        NegativeControl(f"{factor} times", scaled(own, factor))
        for factor in (0.0, 0.5, 2.0)
        if factor != claim
    ]
    statement = replace(
        T8, sides=scaled(own, claim), control=controls[0], nearer=tuple(controls[1:])
    )
    return check_on(statement, audits, "llm")


def test_the_recorded_verdict_is_read_off_these_audits(audits: list[Sides]) -> None:
    rows = verdict_file(LADDER)["verdicts"]
    published = next(row for row in rows if (row["id"], row["rung"]) == ("T8", "llm"))
    found = verdict(audits)
    assert (found.status, found.n, found.note) == ("holds", published["n"], published["note"])
    assert found.n == 135
    assert found.slack == pytest.approx(published["slack"])


@pytest.mark.parametrize("claim", FALSE)
def test_another_multiple_of_the_covariance_is_refuted(audits: list[Sides], claim: float) -> None:
    assert verdict(audits, claim).status == "refuted"
    assert verdict(audits * 2, claim).status == "refuted"  # as if each audit were there twice


def test_the_page_on_limits_says_how_far_off_a_slope_may_be(audits: list[Sides]) -> None:
    found = pooled(audits)
    assert found is not None
    off = critical_value(1, found.instances - 1, ERROR_RATE / 2) * found.slope_error
    said = (
        f"ladder's {found.instances} audits T8 would be refuted by a slope more than {off:.2f} off"
    )
    page = (Path(__file__).parents[3] / "docs" / "limits.md").read_text(encoding="utf-8")
    assert said.replace("0.", ".") in " ".join(page.split())


def changed(side: Sides, measured: torch.Tensor) -> Sides:
    return side._replace(measured=measured)


FALSIFIED: dict[str, Callable[[list[Sides]], list[Sides]]] = {
    **{
        f"{factor} times what was measured": lambda all, factor=factor: [
            changed(s, factor * s.measured) for s in all
        ]
        for factor in FALSE
    },
    "measured at the next audit": lambda all: [
        changed(s, other.measured) for s, other in zip(all, all[1:] + all[:1], strict=True)
    ],
    "measured of the next objective": lambda all: [changed(s, s.measured.roll(1)) for s in all],
}


@pytest.mark.parametrize("name", FALSIFIED)
def test_falsified_measurements_are_refuted(audits: list[Sides], name: str) -> None:
    assert verdict(FALSIFIED[name](audits)).status == "refuted"


@pytest.mark.parametrize("claim", [1.0, *FALSE])
def test_where_noise_hides_the_slope_nothing_holds(audits: list[Sides], claim: float) -> None:
    """Ten times the noise: the slope's error is .4, so that a half and twice cannot be told."""
    rng = np.random.default_rng(0)
    drowned = []
    for side in audits:
        noise = 10 * torch.as_tensor(rng.normal(size=3)) * side.standard_error
        drowned.append(
            changed(side, side.measured + noise)._replace(standard_error=10 * side.standard_error)
        )
    assert verdict(drowned, claim).status == "inconclusive"


@pytest.mark.parametrize("count", [1, 3, 5, 9])
def test_a_few_audits_do_not_hold(audits: list[Sides], count: int) -> None:
    assert verdict(audits[:count]).status == "inconclusive"
