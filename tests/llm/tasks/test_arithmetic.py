"""The arithmetic task: complete, correct, disjoint, reproducible."""

import pytest

from covlaw.llm.base.styles import STYLES, style_of
from covlaw.llm.rewards.accuracy import is_correct
from covlaw.llm.rewards.clarity import is_clear
from covlaw.llm.tasks import SPLITS, TASKS, load_task
from covlaw.llm.tasks.arithmetic import DIFFICULTIES, calculations, results, splits
from covlaw.theory._numerics.errors import CovlawError


def by_hand(prompt: str) -> int:
    """Calculate from the text alone."""
    left, sign, right, *rest = prompt.split(" ")
    assert rest == ["=", "?"]
    if sign == "*":
        return sum(int(left) for _ in range(int(right)))
    return int(left) + {"+": 1, "-": -1}[sign] * int(right)


@pytest.mark.parametrize("difficulty", DIFFICULTIES)
def test_every_reference_is_the_result(difficulty: str) -> None:
    for split in SPLITS:
        for problem in load_task("arithmetic", split, options={"difficulty": difficulty}):
            assert by_hand(problem.prompt) == int(problem.reference)


def test_difficulties_differ_in_operands_and_operators() -> None:
    asked = {
        name: {p.prompt for split in SPLITS for p in load_task("arithmetic", split, options=o)}
        for name, o in ((n, {"difficulty": n}) for n in DIFFICULTIES)
    }
    assert asked["digits"] < asked["teens"]
    assert asked["digits"] < asked["products"]
    # 19·19 sums, 19·20/2 differences; 81 products more
    assert len(asked["teens"]) == 361 + 190
    assert asked["products"] - asked["digits"] == {
        f"{a} * {b} = ?" for a in range(1, 10) for b in range(1, 10)
    }


def test_the_task_is_complete() -> None:
    # 81 sums and, of 81 differences, those of a ≥ b: 9·10/2
    assert len(calculations()) == 81 + 45
    assert {c.result for c in calculations()} == set(results())
    assert sum(len(part) for part in splits().values()) == 126


@pytest.mark.parametrize("seed", [0, 1])
def test_splits_are_disjoint_whatever_the_seed(seed: int) -> None:
    parts = [set(load_task("arithmetic", split, seed=seed)) for split in SPLITS]
    assert sum(map(len, parts)) == len(set().union(*parts)) == 126
    assert parts[0] == set(load_task("arithmetic", "train", seed=5))


def test_the_order_depends_on_the_seed_and_on_nothing_else() -> None:
    first = load_task("arithmetic", "train", seed=3)
    assert first == load_task("arithmetic", "train", seed=3)
    assert first != load_task("arithmetic", "train", seed=4)
    assert first[:7] == load_task("arithmetic", "train", limit=7, seed=3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "aritmetic", "split": "train"}, "did you mean arithmetic"),
        ({"name": "arithmetic", "split": "tain"}, "did you mean train"),
        ({"name": "arithmetic", "split": "train", "limit": 0}, "at least 1"),
        ({"name": "arithmetic", "split": "train", "path": "x"}, "drop path"),
        ({"name": "arithmetic", "split": "val", "options": {"difficulty": "teen"}}, "mean teens"),
        ({"name": "arithmetic", "split": "val", "options": {"dificulty": "teens"}}, "difficulty"),
    ],
)
def test_mistakes_are_named(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(CovlawError, match=message):
        load_task(**arguments)  # type: ignore[arg-type]


def test_the_registry_holds_the_documented_tasks() -> None:
    assert set(TASKS) == {"arithmetic", "math500", "jsonl", "json", "csv", "arrow", "parquet"}


@pytest.mark.parametrize("style", STYLES)
def test_every_style_states_its_result_and_is_recognised(style: str) -> None:
    for calculation in calculations():
        wrong = (calculation.result + 1) % len(results())
        texts = [STYLES[style](calculation, result) for result in (calculation.result, wrong)]
        assert [style_of(text) for text in texts] == [style, style]
        assert [is_clear(text) for text in texts] == [style.endswith("_steps")] * 2
        assert [is_correct(text, str(calculation.result)) for text in texts] == [True, False]
