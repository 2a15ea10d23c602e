"""`covlaw check`: some statements on one rung, both sides shown."""

from typing import Annotated

import tyro

from covlaw.ladder.terminal import stoppable
from covlaw.theory._numerics.errors import CovlawError


def check(
    ids: Annotated[tuple[str, ...], tyro.conf.Positional] = (),
    rung: str = "theory",
    instances: int | None = None,
    seed: int = 0,
    proof: bool = False,
    verbose: Annotated[bool, tyro.conf.arg(aliases=["-v"])] = False,
    probe: bool = False,
    seconds: float = 60.0,
) -> int:
    """Check statements on one rung, measured against predicted.

    Args:
        ids: Statement ids, e.g. T5 F1; none: all.
        rung: theory, bandit, tabular, transformer, or llm (recorded runs below $COVLAW_RUNS).
        instances: How many instances; none: the rung's default.
        seed: Decides the instances.
        proof: Show what each symbolic proof left: its residual must be 0.
        verbose: Explain each statement in full, with both sides and the false variant.
        probe: Search the open questions instead, the longer the harder; the best instances are
            kept in runs/probes, and the next search goes on from there.
        seconds: How long to search each open question.
    """
    if instances is not None and instances < 1:
        raise CovlawError(f"instances is {instances}: use a whole number ≥ 1")
    if seed < 0:
        raise CovlawError(f"seed is {seed}: use a whole number ≥ 0")
    with stoppable():
        from covlaw.ladder.commands.checking import show_checks
        from covlaw.ladder.commands.probe import run_probes

    if probe:
        return run_probes(ids, seconds, seed)
    return show_checks(ids, rung, instances, seed, proof, verbose)
