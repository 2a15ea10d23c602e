"""Every statement's formula can be drawn on a page."""

import pytest

from covlaw.ladder.report.formulas import mathml
from covlaw.theory.statements import STATEMENTS


@pytest.mark.parametrize("id", STATEMENTS)
def test_a_formula_becomes_mathml(id: str) -> None:
    statement = STATEMENTS[id]
    assert "<math" in mathml(statement.latex, statement.formula)
