"""docs/statements.md, written from the registry: `make docs`, from the source tree only."""

import re
from collections.abc import Iterator
from pathlib import Path

from covlaw.figures.registry import FIGURES
from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory.probes import PROBES
from covlaw.theory.statements import MODULE_OF, STATEMENTS, Statement
from covlaw.theory.statements.registry import PARTS, file_of, part_of
from covlaw.theory.worlds.rungs import RUNG_NAMES

ROOT = Path(__file__).resolve().parents[1]
PAGE = Path("docs/statements.md")
EVERY = "tests/theory/statements/test_every_statement.py"

INTRODUCTION = f"""# The statements

Written by `make docs` from the registry; do not edit. Each statement returns both of its sides on
random instances (rung *theory*) and on every rung where it makes sense; the same judge must refute
its *controls*, plausible false variants. `covlaw check T38 -v` shows one in full, `covlaw find F1`
the smallest counterexample to a false claim. Every statement is also tested on nasty instances by
`{EVERY}`; the column *tests* names the files that test it alone.

## Reading a verdict

A verdict is one statement on one rung: `holds`, `refuted`, `inconclusive` (no instance meets the
assumptions, or these instances have no power) or `not_applicable`.

- **measured, predicted, tolerance**: the worst comparison of all `n`. Tolerances are derived: a
  bound on float64 rounding where both sides are exact, and on sampled rungs standard errors too.
- **violations**: comparisons beyond their tolerance. On sampled rungs a true claim is refuted with
  probability at most 0.001 a verdict, over all of its comparisons together.
- **negative control**: a plausible false variant (K in place of K−1, no centring within prompts,
  the wrong clip side, …). The same judge must refute it on the same instances; if it does not, the
  verdict is `inconclusive`, however well the statement itself fared.
- **tightness** of a bound: the share of it that is surely reached; 1 means it cannot be improved.
- An F-statement `holds` when its counterexample is confirmed.

## Index
"""


def page(root: Path = ROOT) -> str:
    """Write the page: an index, then each statement in words.

    Raises:
        CovlawError: away from a source tree, where there are no tests to list.
    """
    tests = _tests(root)
    parts = [INTRODUCTION, "\n".join(_index(tests)), "\n".join(_open_questions())]
    for part in PARTS:
        of_part = [s for id, s in STATEMENTS.items() if part_of(id) == part]
        parts += [f"## {PARTS[part]}", *(_entry(s) for s in of_part)]
    return "\n\n".join(parts) + "\n"


def _tests(root: Path) -> dict[str, str]:
    folder = root / "tests"
    if not folder.is_dir():
        raise CovlawError(f"{folder} does not exist: write the index from a clone of the source")
    files = sorted(
        p
        for area in ("theory", "toys", "llm", "records")
        for p in folder.glob(f"{area}/**/test_*.py")
    )
    return {str(path.relative_to(root)): path.read_text() for path in files}


def _index(tests: dict[str, str]) -> Iterator[str]:
    yield "| | statement | kind | rungs | proofs | file | tests | figure |"
    yield "|---|---|---|---|---|---|---|---|"
    for id, statement in STATEMENTS.items():
        path = file_of(id)
        figures = [name for name, entry in FIGURES.items() if id in entry.shows]
        cells = (
            f"[{id}](#{id.lower()})",
            statement.title,
            statement.kind,
            ", ".join(rungs_of(statement)),
            str(len(statement.proofs())) if statement.proofs else "",
            f"[{Path(path).name}](../{path})",
            ", ".join(f"[{Path(t).name}](../{t})" for t in own_tests(id, tests)),
            ", ".join(f"[{name}](figures.md#{name})" for name in figures),
        )
        yield f"| {' | '.join(_escaped(cell) for cell in cells)} |"


def rungs_of(statement: Statement) -> list[str]:
    """Rungs on which a statement makes sense."""
    return [rung for rung in RUNG_NAMES if rung not in statement.not_applicable]


def own_tests(id: str, tests: dict[str, str]) -> list[str]:
    """Test files that import a statement's module or name its id in quotes."""
    module = MODULE_OF[id].rsplit(".", 1)[-1]
    named = re.compile(rf"[\"']{id}[\"']|\b{module}\b")
    return [path for path, text in tests.items() if path != EVERY and named.search(text)]


def _open_questions() -> Iterator[str]:
    yield "## Open questions\n"
    yield "`covlaw check --probe` searches each, the longer the harder.\n"
    for probe in PROBES.values():
        yield f"- **{probe.statement}**: {probe.question} *{probe.standing}*"


def _entry(statement: Statement) -> str:
    skipped = (f"*{rung}*: {why}" for rung, why in statement.not_applicable.items())
    lines = [
        f'<a id="{statement.id.lower()}"></a>',
        f"### {statement.id}: {statement.title}\n",
        f"{statement.explanation}\n",
        f"$$ {statement.latex} $$\n",
        f"`{statement.formula}`\n",
        f"- assumes: {'; '.join(statement.assumptions)}",
        f"- source: {statement.source}",
        f"- control, refuted: {'; '.join(c.name for c in statement.controls)}",
    ]
    if statement.not_applicable:
        lines.append(f"- not on every rung: {'; '.join(skipped)}")
    return "\n".join(lines)


def _escaped(cell: str) -> str:
    return cell.replace("|", "\\|")


if __name__ == "__main__":
    (ROOT / PAGE).parent.mkdir(exist_ok=True)
    (ROOT / PAGE).write_text(page())
