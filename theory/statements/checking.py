"""`check`: one statement on one rung, judged on both sides together with its false variant."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, NamedTuple

import numpy as np

from covlaw.theory.statements._support import random_instances
from covlaw.theory.statements.base import Proof, Statement, Status, Verdict
from covlaw.theory.statements.judge import Judgement, judge
from covlaw.theory.statements.registry import find
from covlaw.theory.statements.tally import Tally
from covlaw.theory.worlds.rungs import OPTIONAL_RUNGS, Rung, load_rung
from covlaw.theory.worlds.token_tree import TokenTree
from covlaw.theory.worlds.updates import InnerStep, Update
from covlaw.theory.worlds.world import World


class Examination(NamedTuple):
    """What a check found: the statement, its false variant, and its symbolic proofs."""

    own: Judgement | None
    controls: tuple[Judgement | None, ...]
    """Of every false variant, in the order of `Statement.controls`."""
    proofs: tuple[Proof, ...]
    judged: str
    """As in `Verdict`."""


def check(id: str, rung: str = "theory", seed: int = 0, instances: int | None = None) -> Verdict:
    """Check one statement on one rung.

    Args:
        id: Statement id, e.g. "T5".
        rung: theory, bandit, tabular, transformer, llm, or one from the entry point covlaw.rungs.
        seed: Instances and random choices depend on it alone; statements share instances.
        instances: How many; None: the rung's default.

    Raises:
        CovlawError: for an unknown statement or rung, or a rung whose packages are missing.
    """
    statement = find(id)
    reason = not_applicable(statement, rung)
    if reason is not None:
        return Verdict(statement.id, rung, statement.kind, "not_applicable", note=reason)
    return verdict(statement, rung, examine(statement, rung, seed, instances))


def check_on(statement: Statement, instances: Iterable[Any], rung: str, seed: int = 0) -> Verdict:
    """Check a statement on given instances, e.g. the audits of a recorded LLM run."""
    return verdict(statement, rung, _examine_on(statement, instances, rung, seed))


def not_applicable(statement: Statement, rung: str) -> str | None:
    """Why a statement makes no sense on a rung, or None where it does.

    Raises:
        CovlawError: for an unknown rung, or one whose packages are missing.
    """
    if rung != "theory":
        load_rung(rung)
    return reason_against(statement, rung)


def reason_against(statement: Statement, rung: str) -> str | None:
    """The statement's own reason against a rung, or against the rung that it is a kind of."""
    own = statement.not_applicable
    return own.get(rung) or own.get(OPTIONAL_RUNGS.get(rung, ""))


def examine(
    statement: Statement, rung: str, seed: int = 0, instances: int | None = None
) -> Examination:
    """Judge a statement and its false variant on a rung where it makes sense."""
    rng = np.random.default_rng([seed, 0])
    return _examine_on(statement, _instances(statement, rung, rng, instances), rung, seed)


def verdict(statement: Statement, rung: str, found: Examination) -> Verdict:
    """Put an examination into one word, with the worst comparison."""
    # a variant that has nothing to compare on these instances says nothing there
    own = zip(statement.controls, found.controls, strict=True)
    refuted = {control.name: c.finite > 0 for control, c in own if c is not None}
    names = list(refuted) or [control.name for control in statement.controls]
    control = {"name": "; ".join(names), "refuted": bool(refuted) and all(refuted.values())}
    standing = [name for name in names if not refuted.get(name)]
    status, note = _status(found, standing)
    facts = {} if found.own is None else found.own._asdict()
    for inner in ("slope", "finite"):
        facts.pop(inner, None)
    return Verdict(
        statement.id,
        rung,
        statement.kind,
        status,
        **facts,
        negative_control=control,
        judged=found.judged,
        note=note,
    )


def _status(found: Examination, standing: list[str]) -> tuple[Status, str]:
    if found.own is None:
        return "inconclusive", "no instance meets the assumptions"
    failed = [p.claim for p in found.proofs if p.residual != 0]
    notes = [f"{len(found.proofs)} symbolic proofs"] if found.proofs else []
    notes += [f"symbolic residual not 0: {claim}" for claim in failed]
    notes += _in_words(found.own)
    if found.own.violations or failed:
        return "refuted", "; ".join(notes)
    if not standing:
        return "holds", "; ".join(notes)
    notes.append(f"not refuted: {'; '.join(standing)}: no power on these instances")
    return "inconclusive", "; ".join(notes)


def _in_words(own: Judgement) -> list[str]:
    if own.slope is None:
        return []
    slope = own.slope
    return [
        f"slope of measured on predicted {slope.slope:.2f} ± {slope.slope_error:.2f}"
        f" over {slope.instances} instances"
    ]


def _examine_on(
    statement: Statement, instances: Iterable[Any], rung: str, seed: int
) -> Examination:
    variants = (statement.sides, *(control.sides for control in statement.controls))
    tallies = [Tally() for _ in variants]
    exact = True
    for k, instance in enumerate(instances):
        exact = exact and _is_exact(instance)
        for tally, sides in zip(tallies, variants, strict=True):
            tally.add(sides(instance, np.random.default_rng([seed, 1, k])))
    own, *controls = [judge(statement.kind, tally.sides()) for tally in tallies]
    sampled = any(s.standard_error is not None for s in tallies[0].sides())
    judged = "exact" if exact else "sampled" if sampled else "estimator"
    proofs = statement.proofs() if statement.proofs and rung == "theory" else ()
    return Examination(own, tuple(controls), tuple(proofs), judged)


def _is_exact(instance: Any) -> bool:
    """Whether an instance is no update or inner step of an LLM run, seen on samples."""
    return not isinstance(instance, Update | InnerStep) or instance.rollouts.exact


def _instances(
    statement: Statement, rung: str, rng: np.random.Generator, count: int | None
) -> Iterator[Any]:
    if rung == "theory" and statement.ensemble is not None:
        return statement.ensemble.draw(rng, statement.ensemble.size if count is None else count)
    source: Rung = random_instances.RUNG if rung == "theory" else load_rung(rung)
    draws: Mapping[type, Callable[[np.random.Generator, int], Iterator[Any]]] = {
        World: source.worlds,
        Update: source.updates,
        InnerStep: source.inner_steps,
        TokenTree: source.trees,
    }
    total = source.default_count(statement.needs) if count is None else count
    return islice(draws[statement.needs](rng, total), total)
