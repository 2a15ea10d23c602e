"""Violations of a statement on given instances, for tests that mutate what it is made of."""

from collections.abc import Iterable

import numpy as np

from covlaw.theory.statements import STATEMENTS
from covlaw.theory.statements.judge import judge


def violations_on(statement_id: str, instances: Iterable[object]) -> int:
    """Violations on all instances together, each with a generator of its own."""
    statement = STATEMENTS[statement_id]
    sides = [statement.sides(x, np.random.default_rng([0, k])) for k, x in enumerate(instances)]
    judgement = judge(statement.kind, sides)
    assert judgement is not None
    return judgement.violations
