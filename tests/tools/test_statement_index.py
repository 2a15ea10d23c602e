"""docs/statements.md is what the registry says, and every link in it leads somewhere."""

import re
from functools import cache

import pytest
from statement_index import PAGE, ROOT, own_tests, page

from covlaw.figures.registry import FIGURES
from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory.statements import STATEMENTS
from covlaw.theory.statements.registry import file_of


@cache
def made() -> str:
    return page()


def test_the_committed_page_is_fresh() -> None:
    assert (ROOT / PAGE).read_text() == made(), "run `make docs`"


def test_every_link_leads_to_a_file_or_an_entry() -> None:
    text = made()
    for target in re.findall(r"\]\(([^)]+)\)", text):
        if target.startswith("#"):
            assert f'<a id="{target[1:]}">' in text
        else:
            file = target.partition("#")[0]
            assert (ROOT / PAGE).parent.joinpath(file).resolve().is_file(), target


@cache
def every_test() -> dict[str, str]:
    return {str(p.relative_to(ROOT)): p.read_text() for p in ROOT.glob("tests/**/test_*.py")}


@pytest.mark.parametrize("id", STATEMENTS)
def test_every_statement_has_own_tests_its_own(id: str) -> None:
    assert own_tests(id, every_test())
    assert f'id="{id}"' in (ROOT / file_of(id)).read_text()


def test_figures_show_statements_that_exist() -> None:
    assert {id for entry in FIGURES.values() for id in entry.shows} <= set(STATEMENTS)


def test_away_from_the_source_there_is_no_index(tmp_path) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(CovlawError, match="clone of the source"):
        page(tmp_path)
