"""What docs/guard.md says of recorded runs is what the record says."""

import numpy as np
from guard.certified import COSINE, Cell, counted
from guard.tables import PAGE, page
from said import Said
from scipy.stats import binom

from covlaw.figures._drawing.render import recorded
from covlaw.ladder.study.guard_plan import ON_LLM
from covlaw.records.guard_pairs import PAIRS, pairs_of
from covlaw.records.lines import read_records
from covlaw.toys.study.guards import find_guard
from covlaw.toys.study.step_control import JUDGMENTS

ENDS = 5
"""Steps that ends are averaged over."""


def test_the_committed_page_is_fresh() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert text == page(text), "run python tools/guard/tables.py"


def test_what_the_readme_says_of_three_bases_is_in_the_record() -> None:
    pairs = pairs_of(read_records(recorded("guard-llm") / PAIRS))
    bare, kept = (sum(any(pair[side]["sacrificed"]) for pair in pairs) for side in (0, 1))
    said = f"in {kept} of {len(pairs)} where their twins do in {bare}"
    assert f"the guarded sacrifice an objective {said}" in Said("README.md")
    assert f"three seeds a cell, {len(pairs)} pairs" in Said("docs/guard.md")
    for one, other in pairs:  # docs/findings.md: no more often, pair by pair
        assert any(other["sacrificed"]) <= any(one["sacrificed"])


NOISE = read_records(recorded("guard-noise") / "guard_noise.jsonl")
POOLED, OWN = "guard-pool-restoring-1", "guard-restoring-1"
LONGER, JUDGED = "guard-longer-pool-restoring-1", "guard-pool-restoring-curvature"


def left(guard: str, *samples: int) -> str:
    """Percent of the runs that sacrifice an objective."""
    found = {row["samples"]: row["sacrifices"]["mean"] for row in NOISE if row["guard"] == guard}
    first, *more = (f"{100 * found[k]:.0f}" for k in samples)
    return f"{', '.join([first, *more[:-1]])}{f' and {more[-1]}' if more else ''} %"


def test_what_is_said_of_few_completions_is_in_the_record() -> None:
    said = Said("docs/guard.md")
    assert f"pooling leaves {left(POOLED, 4, 16, 64)} of the runs at K = 4, 16 and 64" in said
    assert f"the step's own completions {left(OWN, 4, 16, 64)}, and" in said
    assert f"the longer pool {left(LONGER, 4, 16, 64)}." in said
    judged = [row for row in NOISE if row["guard"].endswith("curvature")]
    assert {row["guard"] for row in judged} == {JUDGED, "guard-restoring-curvature"}
    assert not any(row["sacrifices"]["mean"] for row in judged)
    most = 1 - 0.025 ** (1 / 216)  # the share of which none in 216 is seen in 1 of 40 records
    assert f"keeps the volume: 0 of 216 runs each, at most {most:.1%}".replace("%", " %") in said
    assert f"the same floors leave {left(OWN, 0)}." in said
    assert "(8 to 19)" in said
    assert {row["seed"] for row in NOISE} == {8}
    assert {row["runs"] for row in NOISE} == {216}  # 18 cells of 12 seeds


def test_no_sampled_guard_is_worse_than_none() -> None:
    """In pairs: fewer sacrifice in every cell, and the volume is larger where all is not noise."""
    guarded = [row["less none"] for row in NOISE if row["guard"] != "none"]
    assert len(guarded) == 17
    for less in guarded:
        assert less["sacrifices"]["high"] < 0
        assert less["hypervolume"]["mean"] > 0
        assert less["only guarded"] < less["only unguarded"]


GRAMIANS = {
    (row["algorithm"], row["guard"].removeprefix("gramian-"), row["samples"]): row
    for row in read_records(recorded("gramian-noise") / "gramian_noise.jsonl")
}
METHODS, FEW = ("mgda", "upgrad", "nash_mtl", "gapo"), (4, 16)


def test_a_crossed_gramian_weighs_worse_and_only_mgda_gains_at_every_number() -> None:
    said = Said("docs/guard.md")
    assert "at 4 and 16 completions its weights are farther off for every method, at 64 as" in said
    off = {key: row["weights first"] for key, row in GRAMIANS.items()}
    for method in METHODS:
        for count in FEW:
            assert off[method, "crossed", count]["mean"] > off[method, "plain", count]["mean"]
        crossed, plain = (off[method, name, 64] for name in ("crossed", "plain"))
        assert crossed["low"] < plain["high"]
        assert plain["low"] < crossed["high"]
    gains: dict[str, list[float]] = {method: [] for method in (*METHODS, "gradnorm")}
    for (method, name, _), row in GRAMIANS.items():
        if name == "crossed":
            gains[method].append(row["less plain"]["hypervolume"]["low"])
            assert (
                row["less plain"]["hypervolume"]["high"] > 0
            )  # it costs none anything for certain
    assert [method for method, low in gains.items() if min(low) > 0] == ["mgda"]
    assert all(sum(g > 0 for g in low) <= 1 for m, low in gains.items() if m != "mgda")
    few, exact = (
        f"{GRAMIANS[key]['hypervolume']['mean']:.3f}"[1:]
        for key in (("mgda", "crossed", 4), ("mgda", "none", 0))
    )
    assert f"at K = 4, where its weights are mostly noise, it even has more ({few})" in said
    assert f"than by the exact Gramian ({exact})" in said
    assert GRAMIANS["mgda", "crossed", 4]["less exact"]["sacrifices"]["high"] > 0
    assert "of other seeds (20 to 27), AdamW at .003" in said
    assert {row["seed"] for row in GRAMIANS.values()} == {20}
    assert {row["runs"] for row in GRAMIANS.values()} == {144}  # 18 cells of 8 seeds


RIVALS = {
    row["guard"]: row for row in read_records(recorded("guard-rivals") / "guard_rivals.jsonl")
}


def test_floors_above_0_help_where_the_step_is_halved() -> None:
    lost = {name: row["sacrifices"] for name, row in RIVALS.items()}
    for one, other in (("guard-share", "guard"), ("config", "none")):  # intervals hold both
        assert lost[one]["low"] < lost[other]["mean"] < lost[one]["high"]
    assert lost["guard-share-halving"]["mean"] == lost["guard-halving"]["mean"] == 0
    halved, plain = (RIVALS[f"guard-{name}halving"]["hypervolume"] for name in ("share-", ""))
    assert halved["low"] > plain["high"]
    said = Said("docs/guard.md")
    assert "of nine of the 18 kinds (seeds 20 to 23), linear weights, AdamW at .01" in said
    assert {(row["seed"], row["runs"], row["optimiser"]) for row in RIVALS.values()} == {
        (20, 36, "adamw-.01")
    }
    assert find_guard("guard-share").share == 0.1  # "a tenth"
    assert JUDGMENTS == 10  # nine halvings


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
    assert f"from {curves[1][0]:.2f} to {curves[1][-1]:.2f} and".replace("0.", ".") in text
    assert curves[1].min() == curves[1][0]  # "never lower than at first"
    asked, taken = (
        sum(step["guard"][name]["estimate"][1] for step in kept if step["guard"][name])
        for name in ("change_before", "change_after")
    )
    assert f"ask for −{-asked:.2f} of conciseness".replace("0.", ".") in text
    assert f"guarded ones for +{taken:.2f}.".replace("0.", ".") in text


def test_every_other_algorithm_is_protected_by_curvature_floors() -> None:
    rows = read_records(recorded("guard-others") / "guard_others.jsonl")
    assert "transformer worlds of seeds 20 and 21, AdamW at .003" in Said("docs/guard.md")
    assert {(row["seed"], row["optimiser"], row["runs"]) for row in rows} == {
        (20, "adamw-.003", 36)  # 18 cells of two seeds
    }
    judged = [row for row in rows if row["guard"] == "guard-curvature"]
    assert len(judged) == len({row["algorithm"] for row in rows}) == 12
    assert not any(row["sacrifices"]["mean"] for row in judged)


def test_floors_that_restore_hold_clarity_and_floors_of_0_do_not() -> None:
    rows = [
        row
        for row in read_records(recorded("guard-llm") / PAIRS)
        if (row["base"], row["algorithm"]) == ("default", "linear")
    ]
    ends = {
        guard: {row["seed"]: row["end"][2] for row in rows if row["guard"] == guard}
        for guard in ON_LLM
    }
    lost = {guard: [any(r["sacrificed"]) for r in rows if r["guard"] == guard] for guard in ON_LLM}
    assert {guard for guard in lost if all(lost[guard])} == {"none", "guard-zero"}
    assert not any(any(lost[guard]) for guard in set(lost) - {"none", "guard-zero"})
    more = {
        guard: [ends[guard][seed] - ends["guard"][seed] for seed in range(3)] for guard in ON_LLM
    }
    assert min(more["guard-restoring-1"]) > 0
    highest = f"{max(more['guard-restoring-1']):.3f}"[1:]
    assert f"in each of the three seeds, by {highest} at most" in Said("docs/guard.md")
    for guard in ("guard-rows-32", "guard-crossed", "guard-needed"):
        assert min(more[guard]) < 0


def test_bounds_on_the_completions_that_choose_promise_nothing() -> None:
    rows = read_records(recorded("guard-certified") / "guard_certified.jsonl")
    assert len(rows) == 120
    assert f"have cosine −{-COSINE},".replace("0.", ".") in Said("docs/guard.md")
    n = {row["n"] for row in rows}.pop()
    # 240 counts: with Bonferroni a rate of 2.5 % in each is exceeded by one in 20 such records
    most = binom.isf(0.05 / 240, n, 0.025)
    assert max(max(row["kept"], row["fell"]) for row in rows) <= most
    deep = [row for row in rows if row["dimensions"] == 128]
    assert min(row["certified"] for row in deep) >= 0.999 * n
    assert counted(Cell(*(rows[0][name] for name in Cell._fields)), n, 0) == rows[0]


def test_the_crossed_gramian_helps_no_rl_run() -> None:
    pairs = pairs_of(read_records(recorded("guard-llm") / PAIRS), "gramian-crossed")
    groups = {kept["algorithm"] for _, kept in pairs}
    assert groups == {"mgda", "upgrad"}
    for name in groups:
        sides = list(zip(*(two for two in pairs if two[1]["algorithm"] == name), strict=True))
        plain, crossed = (sum(any(row["sacrificed"]) for row in side) for side in sides)
        assert crossed >= plain
        volume = [np.mean([row["hypervolume"] for row in side]) for side in sides]
        assert volume[1] < volume[0]
