"""The registry: one walk, F-statements with their claims, and no statement in another."""

import ast
from pathlib import Path
from types import ModuleType

import pytest

from covlaw.theory.statements import CLAIMS, MODULE_OF, STATEMENTS
from covlaw.theory.statements.false_claims import policy_gradient_can_oppose_the_covariance as f1
from covlaw.theory.statements.gradients import gradients_align_through_a_kernel as t11
from covlaw.theory.statements.registry import PARTS, entry_of

AREAS = ("theory", "toys", "llm", "records", "ladder", "figures", "plugins")
ROOT = Path(__file__).resolve().parents[3]


def module(**names: object) -> ModuleType:
    made = ModuleType("covlaw.theory.statements.false_claims.made_up")
    vars(made).update(names)
    return made


def test_every_false_statement_has_the_claim_that_it_refutes() -> None:
    assert list(CLAIMS) == [id for id in STATEMENTS if id.startswith("F")]
    assert all(id == claim.id for id, claim in CLAIMS.items())


def test_a_module_with_both_is_an_entry() -> None:
    entry = entry_of(module(STATEMENT=f1.STATEMENT, CLAIM=f1.CLAIM))
    assert entry is not None
    assert (entry.statement, entry.claim) == (f1.STATEMENT, f1.CLAIM)


def test_a_module_with_neither_is_none() -> None:
    assert entry_of(module()) is None


@pytest.mark.parametrize(
    "names",
    [
        {"STATEMENT": f1.STATEMENT},
        {"CLAIM": f1.CLAIM},
        {"STATEMENT": t11.STATEMENT, "CLAIM": f1.CLAIM},
    ],
    ids=["no claim", "no statement", "a claim beside a true statement"],
)
def test_a_claim_and_its_statement_need_each_other(names: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="made_up"):
        entry_of(module(**names))


def test_every_part_has_statements_and_says_what_it_is() -> None:
    of_part = {module.split(".")[-2] for module in MODULE_OF.values()}
    assert of_part == set(PARTS)


def imported(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def test_no_module_imports_a_statement() -> None:
    """What two of them need stands beside them, in `_support`, or with its formula in theory/."""
    statements = set(MODULE_OF.values())
    files = [p for area in AREAS for p in (ROOT / area).rglob("*.py")]
    assert len(files) > len(statements)
    arrows = {str(p.relative_to(ROOT)): imported(p) & statements for p in files}
    assert {path: names for path, names in arrows.items() if names} == {}


def test_an_import_of_a_statement_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "bad.py"
    path.write_text(
        "from covlaw.theory.statements.gradients.gradients_align_through_a_kernel import sides\n"
    )
    assert imported(path) & set(MODULE_OF.values())
