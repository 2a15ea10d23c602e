"""docs/scalarizers.md lists the registry, and its example is a scalarizer that works as it says."""

import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from frozen_rungs import frozen_batch, gain, rung_worlds

from covlaw.theory import scalarizers
from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory._numerics.plugins import Registry
from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.estimators.covariance import covariance_matrix
from covlaw.theory.scalarizers import SCALARIZERS, Batch, Observation, make_scalarizer
from covlaw.theory.statements import STATEMENTS

PAGE = (Path(__file__).parents[3] / "docs/scalarizers.md").read_text(encoding="utf-8")
FIRST, MODULE, LINE = re.findall(r"^```python\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
ROWS = {
    cells[0].strip("`"): cells[1:]
    for line in PAGE.splitlines()
    if line.startswith("| `")
    for cells in [[cell.strip() for cell in line.strip("|").split("|")]]
}


def listed(cell: str) -> set[str]:
    return set(filter(None, re.split(r",\s*", cell)))


def test_the_table_lists_every_scalarizer_once() -> None:
    assert set(ROWS) == set(SCALARIZERS)
    assert PAGE.count("\n| `") == len(SCALARIZERS)


@pytest.mark.parametrize("name", sorted(SCALARIZERS))
def test_the_table_says_what_a_scalarizer_needs_and_who_predicts_it(name: str) -> None:
    _, before, after, predictions, _ = ROWS[name]
    scalarizer = make_scalarizer(name, ["a", "b"])
    assert listed(before) == scalarizer.before
    assert listed(after) == scalarizer.after
    assert listed(predictions) == set(scalarizer.predictions())


def test_the_page_names_the_reference_forms() -> None:
    sentence = PAGE[PAGE.index("Seven of them") :].split("\n\n")[0]
    named = set(re.findall(r"`(\w+)`", sentence.split("):")[1]))
    assert named == {n for n, cls in SCALARIZERS.items() if accepts_reference(cls)}


def accepts_reference(cls: type[Any]) -> bool:
    return "reference" in cls.__init__.__annotations__


def test_the_first_block_runs() -> None:
    given = {"rewards": torch.tensor([[1.0, 0], [0, 1], [1, 1]]), "prompt": torch.zeros(3).long()}
    exec(FIRST, given)  # noqa: S102
    assert given["signal"].weights.shape == (2,)


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The page's file and registry line, in force for one test."""
    module = ModuleType("covlaw.theory.scalarizers.worst_first")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(MODULE, module.__dict__)  # noqa: S102
    added: dict[str, str] = eval(f"{{{LINE.strip()}}}", vars(scalarizers))  # noqa: S307
    registry: Registry[Any] = Registry("scalarizer", "covlaw.scalarizers", added)
    monkeypatch.setattr(scalarizers, "SCALARIZERS", registry)
    return module


def test_the_file_serves_from_any_folder(tmp_path: Path) -> None:
    (tmp_path / "worst_first.py").write_text(MODULE, encoding="utf-8")
    place = f"worst={tmp_path}/worst_first.py:WorstFirst"
    assert make_scalarizer(place, ["a", "b"], temperature=0.5).predictions() == ("E6",)
    with pytest.raises(CovlawError, match="unknown option of scalarizer 'worst' 'tau'"):
        make_scalarizer(place, ["a"], tau=1.0)


@pytest.mark.usefixtures("example")
def test_the_example_is_made_by_name_and_favours_the_worst() -> None:
    scalarizer = make_scalarizer("worst_first", ["a", "b"], temperature=0.5)
    data = Batch(torch.eye(2).double(), torch.zeros(2).long())
    state, signal = scalarizer.signal(scalarizer.init(), data)
    assert signal.score.tolist() == [0.5, 0.5]
    seen = Observation(values=torch.tensor([0.9, 0.4], dtype=torch.float64))
    _, signal = scalarizer.signal(scalarizer.update(state, seen), data)
    ratio = (signal.score[1] / signal.score[0]).log()
    assert abs(ratio - (0.9 - 0.4) / 0.5) <= rounding(4.0, 64)
    assert set(scalarizer.predictions()) <= set(STATEMENTS)


@pytest.mark.usefixtures("example")
def test_the_examples_prediction_holds_on_a_world() -> None:
    [world] = rung_worlds("bandit", 1)
    scalarizer, batch = make_scalarizer("worst_first", world.names), frozen_batch(world)
    values = world.value()
    state = scalarizer.update(scalarizer.init(), Observation(values=values))
    _, signal = scalarizer.signal(state, batch)
    assert signal.weights is not None
    assert signal.weights.argmax() == values.argmin()
    matrix = covariance_matrix(batch.rewards, batch.prompt, batch.mass, batch.prompt_mass)
    allowed = rounding(4 * world.rewards.abs().max().square(), 64 * (len(world.prompt) + 8))
    assert ((gain(world, signal.score) - matrix @ signal.weights).abs() <= allowed).all()


@pytest.mark.usefixtures("example")
def test_the_example_refuses_what_the_rules_say() -> None:
    with pytest.raises(CovlawError, match="unknown option of scalarizer 'worst_first' 'tau'"):
        make_scalarizer("worst_first", ["a"], tau=1.0)
    with pytest.raises(CovlawError, match="temperature is 0"):
        make_scalarizer("worst_first", ["a"], temperature=0)
    scalarizer = make_scalarizer("worst_first", ["a", "b"])
    broken = Batch(torch.full((2, 2), torch.nan), torch.zeros(2).long())
    with pytest.raises(CovlawError, match="worst_first needs finite rewards"):
        scalarizer.signal(scalarizer.init(), broken)
    with pytest.raises(CovlawError, match="worst_first needs values after each step"):
        scalarizer.update(scalarizer.init(), Observation())


def test_the_page_is_not_in_the_registry() -> None:
    with pytest.raises(CovlawError, match="unknown scalarizer 'worst_first'"):
        make_scalarizer("worst_first", ["a"])
