"""Every statement, without exception: on nasty instances, on three seeds, and in words."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nasty import nasty_inner_steps, nasty_updates, nasty_worlds
from nasty_trees import nasty_trees

from covlaw.theory.statements import STATEMENTS, Statement, check
from covlaw.theory.statements.judge import judge
from covlaw.theory.worlds.rungs import RUNG_NAMES
from covlaw.theory.worlds.token_tree import TokenTree
from covlaw.theory.worlds.updates import InnerStep, Update
from covlaw.theory.worlds.world import World

NASTY = {
    World: nasty_worlds(),
    Update: nasty_updates(),
    InnerStep: nasty_inner_steps(),
    TokenTree: nasty_trees(),
}

ids = pytest.mark.parametrize("id", STATEMENTS)


def instances(statement: Statement) -> st.SearchStrategy[object]:
    """Nasty instances of the kind it takes, or random ones of its own ensemble."""
    if statement.needs in NASTY:
        return NASTY[statement.needs]
    assert statement.ensemble is not None, "only an ensemble can draw an instance of its own kind"
    draw = statement.ensemble.draw
    return st.integers(0, 2**32 - 1).map(lambda seed: next(draw(np.random.default_rng(seed), 1)))


@ids
def test_holds_on_nasty_instances(id: str) -> None:
    statement = STATEMENTS[id]

    @given(instances(statement), st.integers(0, 2**32 - 1))
    def holds(instance: object, seed: int) -> None:
        sides = statement.sides(instance, np.random.default_rng(seed))
        judgement = judge(statement.kind, [sides])
        assert judgement is None or judgement.violations == 0, judgement

    holds()


@ids
@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_holds_with_a_refuted_control(id: str, seed: int) -> None:
    verdict = check(id, "theory", seed)
    assert verdict.status == "holds", verdict


@ids
def test_says_what_it_claims(id: str) -> None:
    statement = STATEMENTS[id]
    assert statement.explanation
    assert len(statement.explanation.split()) >= 25
    assert statement.assumptions
    assert statement.source
    assert statement.control.name
    assert not statement.title.endswith(".")


@ids
def test_own_instances_stay_on_their_rung(id: str) -> None:
    statement = STATEMENTS[id]
    if statement.needs not in NASTY and statement.ensemble is not None:
        assert set(statement.not_applicable) >= set(RUNG_NAMES) - {"theory"}


def test_all_of_the_theory_is_there() -> None:
    expected = [f"T{k}" for k in range(1, 65)]
    expected += [f"E{k}" for k in range(1, 13)] + [f"F{k}" for k in range(1, 19)]
    assert list(STATEMENTS) == expected


@pytest.mark.parametrize("id", [id for id, s in STATEMENTS.items() if s.remarks])
def test_remarks_are_measured_again_and_again(id: str) -> None:
    remarks = STATEMENTS[id].remarks
    assert remarks is not None
    lines = remarks()
    assert lines == remarks()
    assert all(line and "\n" not in line for line in lines)
