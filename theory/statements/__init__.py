"""The registry of statements, and `check`: one statement on one rung."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from types import ModuleType

import numpy as np

from covlaw.theory.errors import unknown
from covlaw.theory.rungs import Instance, Rung, load_rung
from covlaw.theory.statements import (
    change_is_the_covariance_with_the_importance_ratio,
    clipped_gradient_is_the_weighted_score,
    clipping_changes_the_law_by_at_most_its_margin,
    covariance_decides_the_sign_of_small_tilts,
    finite_tilt_is_a_covariance_with_its_weight,
    first_order_error_is_quadratic,
    gradients_align_through_a_kernel,
    large_tilts_can_oppose_the_covariance,
    natural_gradient_can_oppose_the_covariance,
    natural_gradient_projects_the_score,
    nothing_is_clipped_inside_the_no_clip_radius,
    policy_gradient_can_oppose_the_covariance,
    random_instances,
    sample_covariance_is_unbiased_with_k_minus_one,
    score_field_chain_adds_up_to_the_change,
    small_gaps_certify_the_sign_of_the_change,
    tilt_along_the_clipped_advantage_needs_a_centring_term,
    tilt_derivative_is_a_covariance,
)
from covlaw.theory.statements.base import NegativeControl, Proof, Sides, Statement, Verdict
from covlaw.theory.statements.judge import Judgement, judge
from covlaw.theory.updates import InnerStep, Update
from covlaw.theory.worlds import World

__all__ = [
    "STATEMENTS",
    "NegativeControl",
    "Proof",
    "Sides",
    "Statement",
    "Verdict",
    "check",
    "check_on",
]

Draw = Callable[[np.random.Generator, int], Iterator[Instance]]

_MODULES: tuple[ModuleType, ...] = (
    tilt_derivative_is_a_covariance,
    finite_tilt_is_a_covariance_with_its_weight,
    first_order_error_is_quadratic,
    covariance_decides_the_sign_of_small_tilts,
    change_is_the_covariance_with_the_importance_ratio,
    score_field_chain_adds_up_to_the_change,
    small_gaps_certify_the_sign_of_the_change,
    gradients_align_through_a_kernel,
    natural_gradient_projects_the_score,
    sample_covariance_is_unbiased_with_k_minus_one,
    clipped_gradient_is_the_weighted_score,
    tilt_along_the_clipped_advantage_needs_a_centring_term,
    nothing_is_clipped_inside_the_no_clip_radius,
    clipping_changes_the_law_by_at_most_its_margin,
    policy_gradient_can_oppose_the_covariance,
    natural_gradient_can_oppose_the_covariance,
    large_tilts_can_oppose_the_covariance,
)

STATEMENTS: Mapping[str, Statement] = {m.STATEMENT.id: m.STATEMENT for m in _MODULES}
"""Every statement by id, in THEORY's order."""


def find(statement_id: str) -> Statement:
    """Look a statement up by id, case-insensitively; an unknown id names its near matches."""
    known = {key.lower(): key for key in STATEMENTS}
    if statement_id.lower() not in known:
        raise unknown("statement", statement_id, tuple(STATEMENTS))
    return STATEMENTS[known[statement_id.lower()]]


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
    source: Rung = random_instances.RUNG if rung == "theory" else load_rung(rung)
    if rung in statement.not_applicable:
        note = statement.not_applicable[rung]
        return Verdict(statement.id, rung, statement.kind, "not_applicable", note=note)
    count = source.default_count(statement.needs) if instances is None else instances
    draw = _instances(source, statement.needs, np.random.default_rng([seed, 0]), count)
    return check_on(statement, draw, rung, seed)


def check_on(
    statement: Statement, instances: Iterable[Instance], rung: str, seed: int = 0
) -> Verdict:
    """Check a statement on given instances, e.g. the audits of a recorded LLM run."""
    pairs = [
        tuple(
            side(instance, np.random.default_rng([seed, 1, k]))
            for side in (statement.sides, statement.control.sides)
        )
        for k, instance in enumerate(instances)
    ]
    judgement = judge(statement.kind, [own for own, _ in pairs])
    false_variant = judge(statement.kind, [control for _, control in pairs])
    return _verdict(statement, rung, judgement, false_variant)


def _instances(
    source: Rung, kind: type, rng: np.random.Generator, count: int
) -> Iterator[Instance]:
    draws: dict[type, Draw] = {
        World: source.worlds,
        Update: source.updates,
        InnerStep: source.inner_steps,
    }
    return islice(draws[kind](rng, count), count)


def _verdict(
    statement: Statement, rung: str, judgement: Judgement | None, false_variant: Judgement | None
) -> Verdict:
    proofs, failed = _prove(statement) if rung == "theory" else (0, [])
    refuted = false_variant is not None and false_variant.violations > 0
    control = {"name": statement.control.name, "refuted": refuted}
    if judgement is None:
        note = "no instance meets the assumptions"
        return Verdict(
            statement.id, rung, statement.kind, "inconclusive", negative_control=control, note=note
        )
    notes = [f"{proofs} symbolic proofs"] if proofs else []
    notes += [f"symbolic residual not 0: {claim}" for claim in failed]
    if judgement.violations or failed:
        status = "refuted"
    elif refuted:
        status = "holds"
    else:
        status = "inconclusive"
        notes.append("the negative control was not refuted: no power on these instances")
    return Verdict(
        statement.id,
        rung,
        statement.kind,
        status,  # type: ignore[arg-type]
        measured=judgement.measured,
        predicted=judgement.predicted,
        slack=judgement.slack,
        tolerance=judgement.tolerance,
        violations=judgement.violations,
        n=judgement.n,
        tightness=judgement.tightness,
        negative_control=control,
        note="; ".join(notes),
    )


def _prove(statement: Statement) -> tuple[int, list[str]]:
    proofs = statement.proofs() if statement.proofs else []
    return len(proofs), [p.claim for p in proofs if p.residual != 0]
