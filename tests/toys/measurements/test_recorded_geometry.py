"""What docs/law.md warns of in models' geometry: neither spectrum nor κ says which signs agree."""

from typing import Any

from covlaw.figures._drawing.render import recorded
from covlaw.records.lines import read_records

MODELS = read_records(recorded("ladder") / "geometry.jsonl")
CONSTANT = 0.44


def opposed(record: dict[str, Any], family: str) -> float:
    """Share of pairs whose gradients oppose the law."""
    return float(record[family]["disagree"])


def test_the_spectrum_alone_is_as_good_as_a_constant() -> None:
    """Within two points for isotropic pairs, as .44 is; off by 7 to 22 for independent rewards."""
    isotropic = [(r["by_spectrum"], opposed(r, "modes")) for r in MODELS]
    assert len(isotropic) == 6
    assert max(abs(p - s) for p, s in isotropic) < 0.02
    assert max(abs(CONSTANT - s) for _, s in isotropic) < 0.02
    off = [r["by_spectrum"] - opposed(r, "tables") for r in MODELS]
    assert 0.06 < min(off) < 0.08
    assert 0.21 < max(off) < 0.23


def test_the_condition_number_certifies_nothing() -> None:
    assert {round(r["threshold"], 3) for r in MODELS} == {1.0}
    for record in MODELS:
        for family in ("tables", "mixtures", "objectives"):
            assert record[family]["certified"] == 0
