"""No number in the prose of README and docs that nobody can make again.

Each is part of a sentence that a test compares with a record or a constant, of a table that a tool
wrote, or of `KNOWN`, with the reason why it is neither.
"""

import importlib.util
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from said import ASKED, Said

TESTS = Path(__file__).parent
CLAIMS = (
    "test_findings_numbers",
    "test_guard_claims",
    "test_look_ahead_claims",
    "test_said_elsewhere",
    "test_study_claims",
    "tools/test_guard_tables",
)
"""Modules that compare sentences with records; a failing one fails here too."""
BENCH, WORDS, SETTING = "timed by `make bench`", "an exact statement's words", "a recorded setting"
HEADROOM = "tests/theory/estimators/test_headroom_of_samples.py reads it"
KNOWN: dict[str, dict[str, str]] = {
    "README.md": {
        "Lu & Jiang 2026": "a year",
        "arXiv 2602.06869": "an address",
        "2026. Licence": "a year",
        "Apache-2.0": "a licence",
        "Python ≥ 3.11": "pyproject, tests/test_packaging.py",
        "torch ≥ 2.4": "pyproject, `make test-core-lower`",
        "at .1 nats MGDA": SETTING,
    },
    "docs/findings.md": {
        "here 1 lies within": WORDS,
        "At equal KL, .1 nats": SETTING,
        "At .1 nats UPGrad": SETTING,
        "seed 0, is": SETTING,
        "AdamW at .003)": SETTING,
        "under AdamW at .001, .003 and .01": SETTING,
        "reaches .03 nats": SETTING,
        "are tilts (0 %)": "test_study_claims asserts it",
        "in 3 to 8 % of runs and linear weights in 67 %;": "the same numbers again as below",
    },
    "docs/guard.md": {
        "weights 1 and 0.3": "the example beneath, which runs",
        "2.15 times": BENCH,
        "1.35 times": BENCH,
        "1.70 and 1.00 times": BENCH,
        "2.14 and 1.58 times": BENCH,
        "in 100 and 92 % of these": BENCH,
        "2.95 times": BENCH,
        "RL runs of 45 steps": SETTING,
        "(seed 0 of": SETTING,
        "AdamW at .003, the guard's": SETTING,
        "(κ = 1)": SETTING,
        "up to 64 a prompt": SETTING,
        "cut at 2": SETTING,
        "where 10, 3 and 1 % were asked for": "what had been asked for",
        "where 1.5 was the aim": "what had been asked for",
        "with 97.5 % confidence": "a definition",
        "(`longer`: 256)": "the study's guard of that name",
        "A pool of 64 is worth what 64": "the pool's size",
        "fewer than 64 completions": "the pool's size",
        "seed 0 of linear weights": SETTING,
        "With κ = 1 instead of .3": SETTING,
        "gradients have cosine −.5": SETTING,
        "| 0: may not fall": "a definition",
        ".51 in truth and .95": "T62's own example, tests/theory/statements",
        "within 1e-8": "the guard's constant",
        "(Lopez-Paz and Ranzato 2017)": "a year",
        "(Quinton and Rey 2024)": "a year",
        "Thuerey 2024)": "a year",
        "(Liu et al. 2026)": "a year",
        "Floors above 0": SETTING,
        "floors of 0": SETTING,
    },
    "docs/inspect.md": {
        "880 MB, of which 230": BENCH,
        "exits with 1": "an exit code, tests/ladder",
    },
    "docs/interference.md": {
        "It is 0 for whatever": WORDS,
        "below 0 by": WORDS,
        "With 95 % intervals": "a definition",
        "of its 95 % interval": "a definition",
        "AdamW at .003 where": SETTING,
        "t .1 nats": SETTING,
        "before .1 nats": SETTING,
        "to .1 nats": SETTING,
        "reaches .03 nats": SETTING,
        "in runs of 20 steps": SETTING,
        "at .001 plain guard": SETTING,
        "at .003 from": SETTING,
        "the bar was 2 %": "what had been asked for",
        "At .01 first order": SETTING,
        "they do at .003 too": SETTING,
        "From 4, 16 and 64 sampled": SETTING,
        "the bars of 10 and 3 % at 4 and 16": "what had been asked for",
        "What does reach 0": "the table above it",
        "The mixers of 2026": "a year",
        "At .003 RVPO": SETTING,
        "At 1 nat and rate .01": SETTING,
    },
    "docs/law.md": {},
    "docs/limits.md": {
        "from 4 bits": "the file's format, docs/real.md",
        "135 million parameters": "the model's size, docs/real.md",
        "estimate ± 2 of": "a definition",
        "less than 95 %": "a definition",
        "1/σ²": WORDS,
        "| 95 % |": "a definition",
        "3 standard errors": "`CERTAIN`, asserted of docs/interference.md",
        "the mean ratio is 1": WORDS,
        "nominal 95 %": "a definition",
        "± 1.96 standard": "the normal's quantile",
        "whose truth is 1": WORDS,
        "of 45 audits": "a constant of the measurement, toys/measurements/slopes.py",
        "ladder's 45 audits T8 would": "tests/llm/audit/test_falsified_audits.py reads it",
        "slope more than .16 off 1,": "tests/llm/audit/test_falsified_audits.py reads it",
        "a true .108 it is .044, .069, .084 and .098 on average at 2, 4, 8 and 16": HEADROOM,
        "completions of 8 prompts": HEADROOM,
        "in 27 % of samples of 16": HEADROOM,
    },
}


@pytest.mark.parametrize("page", KNOWN)
def test_every_number_has_a_record_or_a_reason(page: str) -> None:
    text = Said(page)
    covered = {at for said in (*compared(), *KNOWN[page]) for at in text.places(said)}
    bare = [
        f"…{text[max(0, at - 40) : at]}[{number}]{text[at + len(number) :][:30]}…"
        for at, number in text.numbers()
        if not covered >= set(range(at, at + len(number)))
    ]
    assert not bare, "in no record that a test compares, and without a reason:\n" + "\n".join(bare)


@pytest.mark.parametrize("page", KNOWN)
def test_reasons_are_for_what_is_there(page: str) -> None:
    text = Said(page)
    assert [said for said in KNOWN[page] if not text.places(said)] == []


@pytest.mark.parametrize(
    ("prose", "numbers"),
    [
        ("rose by .40 to 0.41, −.02 or 12 %", [".40", "0.41", "−.02", "12"]),
        ("[T6](x.md#t6), `a = 3`, $x^2$, e17", []),
        ("1,043,090 of 2.15 times.", ["1,043,090", "2.15"]),
    ],
)
def test_what_counts_as_a_number(prose: str, numbers: list[str]) -> None:
    text = str.__new__(Said, prose)
    assert [number for _, number in text.numbers()] == numbers


@cache
def compared() -> frozenset[str]:
    """Every phrase that a test compares with a record, by running these tests."""
    for name in CLAIMS:
        spec = importlib.util.spec_from_file_location(name, TESTS / f"{name}.py")
        assert spec
        assert spec.loader
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        for key, function in list(vars(module).items()):
            if key.startswith("test_"):
                for values in _cases(function):
                    function(**values)
    return frozenset(ASKED)


def _cases(function: Callable[..., None]) -> Iterator[dict[str, Any]]:
    marks = [m for m in getattr(function, "pytestmark", []) if m.name == "parametrize"]
    if not marks:
        yield {}
    for mark in marks:
        names, rows = mark.args
        for row in rows:
            yield {names: row} if isinstance(names, str) else dict(zip(names, row, strict=True))
