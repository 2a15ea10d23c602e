"""What certificates, intervals and slopes are recorded to keep is what is promised of them."""

from collections.abc import Callable, Mapping
from itertools import product
from typing import Any

import pytest
from scipy.stats import binom

from covlaw.figures._drawing.render import recorded
from covlaw.records.lines import read_records
from covlaw.toys.measurements.certificates import BATCHES, SHAPES
from covlaw.toys.measurements.slopes import RUNS

Record = Mapping[str, Any]
CELLS = read_records(recorded() / "certificates.jsonl")
SLOPES = read_records(recorded() / "slopes.jsonl")
WRONG, ZERO, LEVEL = 1 / 200, 1 / 100, 0.95


def own(**chosen: Any) -> list[Record]:
    return [r for r in CELLS if all(r[key] == value for key, value in chosen.items())]


def rates(key: str, kept: Callable[[Record], bool]) -> list[float]:
    return [r[key] / r["n"] for r in CELLS if r["wrong"] is not None and kept(r)]


def test_every_number_of_prompts_and_completions_is_tried_with_every_family() -> None:
    assert set(SHAPES) == set(product((4, 8, 16, 32, 64), (2, 4, 8, 16)))
    cases = {(r["quantity"], r["family"], r["reward"]) for r in CELLS}
    assert len(CELLS) == len(cases) * len(SHAPES)
    assert {r["n"] for r in CELLS} == {BATCHES}
    assert {f"reward {p:g}, tilt 0" for p in (0.002, 0.02, 0.1, 0.5)} < {r["reward"] for r in CELLS}


def test_wrong_signs_and_certified_zeros_are_as_rare_as_promised() -> None:
    """In every cell, where 3 standard errors fail both by far."""
    assert max(rates("wrong", lambda r: r["truth"] != 0)) <= WRONG
    assert max(rates("wrong", lambda r: r["truth"] == 0)) <= ZERO
    assert max(rates("plain_wrong", lambda r: r["truth"] != 0)) > 0.3
    assert max(rates("plain_wrong", lambda r: r["truth"] == 0)) > 0.1


def test_an_unseen_rise_makes_a_plain_rule_err_and_no_certificate() -> None:
    """A fall beyond 3 standard errors in 36 % of samples; truth +.003."""
    [cell] = own(family="rare rise against a common fall, noise 0", prompts=32, completions=16)
    assert cell["truth"] == pytest.approx(0.003)
    assert abs(cell["plain_wrong"] / cell["n"] - 0.998**512) < 4 * (0.36 * 0.64 / BATCHES) ** 0.5
    assert cell["wrong"] == 0


def test_intervals_hold_the_truth() -> None:
    """At least 95 %, the counting error of the worst of so many cells apart."""
    unlikely = 0.001 / len(CELLS)
    for cell in CELLS:
        assert binom.cdf(cell["covered"], cell["n"], LEVEL) > unlikely, cell
    assert min(r["plain_covered"] / r["n"] for r in CELLS if r["truth"] != 0) < 0.1


def test_two_standard_errors_cover_a_rare_reward_far_too_seldom() -> None:
    """p = .02, 32 prompts: .62, .76 and .90 at 2, 4 and 16 completions."""
    shares = [
        own(family="lognormal, sd of log 0.1", reward="reward 0.02, tilt 0.3",
            prompts=32, completions=k)[0]["plain_covered"] / BATCHES
        for k in (2, 4, 16)
    ]  # fmt: skip
    error = 4 * (0.25 / BATCHES) ** 0.5
    assert shares == pytest.approx([0.62, 0.76, 0.90], abs=error)


def test_two_standard_errors_cover_a_heavy_lognormal_ratio_far_too_seldom() -> None:
    """Nominal 95 %, 32 x 16: from .65 to .95 where the reward's change is not 0."""
    shares = [
        r["plain_covered"] / r["n"]
        for sd in ("0.5", "1.5")
        for r in own(family=f"lognormal, sd of log {sd}", prompts=32, completions=16)
        if not r["reward"].endswith("tilt 0")
    ]
    assert len(shares) == 8
    assert 0.65 < min(shares) < 0.8
    assert max(shares) < 0.96


def test_certificates_keep_power_where_there_is_much_to_see() -> None:
    [light] = own(
        quantity="exact_change", family="lognormal, sd of log 0.1",
        reward="reward 0.5, tilt 0.3", prompts=64, completions=16,
    )  # fmt: skip
    assert light["certified"] > 0.9 * light["n"]
    few = own(quantity="exact_change", prompts=8)
    assert not any(r["certified"] for r in few)  # 8 prompts may all be of one kind


def test_slopes_cover_one_with_alike_errors_and_not_otherwise() -> None:
    """93 to 97 % of RUNS sets; the slopes' means within 1 % beyond 4 counting errors."""
    assert {r["n"] for r in SLOPES if r["weights"] == "alike"} == {RUNS}
    found = {(r["errors"], r["spread"], r["correlation"], r["weights"]): r for r in SLOPES}
    good = [key for key in found if key[2:] == ("used", "alike")]
    assert len(good) == 3
    for key in good:
        assert 0.93 <= found[key]["covered"] / RUNS <= 0.97
        assert abs(found[key]["slope"] - 1) < 0.01 + 4 * found[key]["slope_se"]
    shared = found["normal", 0.05, "ignored", "alike"]
    assert shared["slope"] > 1.03
    assert binom.cdf(shared["covered"], RUNS, LEVEL) < 1e-4
    counts = found["counts", 0.0, "used", "own"]
    assert counts["slope"] < 1 - 4 * counts["slope_se"]
