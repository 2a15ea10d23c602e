"""What docs/guard.md says of recorded runs is what the record says."""

import numpy as np
from guard_tables import PAGE, page
from said import Said

from covlaw.figures._drawing.render import recorded
from covlaw.records.guard_pairs import PAIRS, pairs_of
from covlaw.records.lines import read_records

ENDS = 5
"""Steps that ends are averaged over."""


def test_the_committed_page_is_fresh() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert text == page(text), "run python tools/guard_tables.py"


def test_what_the_readme_says_of_three_bases_is_in_the_record() -> None:
    pairs = pairs_of(read_records(recorded("guard-llm") / PAIRS))
    bare, kept = (sum(any(pair[side]["sacrificed"]) for pair in pairs) for side in (0, 1))
    readme = Said("README.md")
    assert f"the guarded in {kept} of {len(pairs)} where their twins do in {bare}" in readme
    assert f"a part of what the command makes, {len(pairs)} of 36 pairs" in Said("docs/guard.md")
    for one, other in pairs:  # docs/findings.md: no more often, pair by pair
        assert any(other["sacrificed"]) <= any(one["sacrificed"])


def test_where_nothing_is_lost_the_guard_can_cost_volume() -> None:
    pairs = pairs_of(read_records(recorded("guard-llm") / PAIRS))
    where = ("stepwise-right", "linear", 0)
    [(bare, kept)] = [
        p for p in pairs if tuple(p[1][k] for k in ("base", "algorithm", "seed")) == where
    ]
    assert not any(bare["sacrificed"])
    ends = [f"{row['hypervolume']:.3f}"[1:] for row in (bare, kept)]
    assert f"ends at {ends[0]} of it unguarded and at {ends[1]} guarded" in Said("docs/guard.md")


def test_what_is_said_of_ctwa_is_in_its_runs() -> None:
    text = Said("docs/guard.md")
    bare, kept = (
        read_records(recorded("guard-llm") / "llm" / name / "steps.jsonl")
        for name in ("ctwa-0", "ctwa-guard-0")
    )
    curves = [
        np.convolve([step["reward_mean"][1] for step in steps], np.ones(ENDS) / ENDS, "valid")
        for steps in (bare, kept)
    ]
    first, least, last = (f"{v:.2f}"[1:] for v in (curves[0][0], curves[0].min(), curves[0][-1]))
    assert f"from {first} down to {least} and is back at {last}" in text
    assert f"from {curves[1][0]:.2f} to {curves[1][-1]:.2f}.".replace("0.", ".") in text
    asked, taken = (
        sum(step["guard"][name]["estimate"][1] for step in kept if step["guard"][name])
        for name in ("change_before", "change_after")
    )
    assert f"ask for −{-asked:.2f} of conciseness" in text
    assert f"guarded ones for −{-taken:.2f}.".replace("0.", ".") in text
    assert f"({kept[0]['reward_mean'][1]:.2f}, the first".replace("0.", ".") in text
    missing = kept[0]["reward_mean"][1] - curves[1][-1]
    assert f"the {missing:.2f} that".replace("0.", ".") in text
