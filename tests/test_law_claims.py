"""What docs/law.md says of models' geometry is in the record, and so is what it warns of."""

from pathlib import Path
from typing import Any

from covlaw.figures._drawing.render import recorded
from covlaw.records.lines import read_records

MODELS = read_records(recorded("ladder") / "geometry.jsonl")
PAGE = " ".join((Path(__file__).parents[1] / "docs" / "law.md").read_text(encoding="utf-8").split())
CONSTANT = 0.44


def points(share: float) -> float:
    return round(100 * share, 1)


def opposed(record: dict[str, Any], family: str) -> float:
    """Share of pairs whose gradients oppose the law."""
    return float(record[family]["disagree"])


def from_others(family: str) -> float:
    """Largest miss of the mean of the other models, in points."""
    shares = [opposed(r, family) for r in MODELS]
    others = [(sum(shares) - s) / (len(shares) - 1) for s in shares]
    return points(max(abs(s - o) for s, o in zip(shares, others, strict=True)))


def test_the_spectrum_alone_is_as_good_as_a_constant_and_only_without_a_preferred_direction() -> (
    None
):
    """Within two points for isotropic pairs, as .44 is; off by 7 to 22 for independent rewards."""
    isotropic = [(r["by_spectrum"], opposed(r, "modes")) for r in MODELS]
    assert len(isotropic) == 6
    assert max(abs(p - s) for p, s in isotropic) < 0.02
    assert max(abs(CONSTANT - s) for _, s in isotropic) < 0.02
    off = [r["by_spectrum"] - opposed(r, "tables") for r in MODELS]
    assert 0.06 < min(off) < 0.08
    assert 0.21 < max(off) < 0.23
    assert "constant 44 % is as good within two points" in PAGE


def test_covariance_and_gramian_predict_it_for_every_family() -> None:
    misses = [
        abs(r["by_family"][family] - opposed(r, family))
        for r in MODELS
        for family in ("tables", "modes", "mixtures")
    ]
    assert f"disagree to within {points(max(misses))} points in six small transformers" in PAGE
    for family, words in (
        ("tables", "independent rewards ({} to {} %; a constant misses by up to {:.0f} points)"),
        ("mixtures", "mixtures of a task's objectives ({} to {} %; {})"),
    ):
        shares = [opposed(r, family) for r in MODELS]
        low, high = (round(100 * f(shares)) for f in (min, max))
        assert words.format(low, high, from_others(family)) in PAGE


def test_the_condition_number_certifies_nothing() -> None:
    assert {round(r["threshold"], 3) for r in MODELS} == {1.0}
    assert "T13's threshold is 1.000" in PAGE
    for record in MODELS:
        for family in ("tables", "mixtures", "objectives"):
            assert record[family]["certified"] == 0
