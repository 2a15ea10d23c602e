"""How a run is guarded: the table `guard_options`, checked before any work."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from covlaw.llm.config.checks import check_choices, check_counts, check_kinds
from covlaw.theory._numerics.errors import CovlawError, unknown
from covlaw.theory.guard import RestoringFloors

GUARD = ("off", "on", "needed")
FLOORS = ("zero", "restoring", "certified")


@dataclass(frozen=True)
class GuardSettings:
    """Options of a run's guard.

    Args:
        rows: Completions a prompt, beside the batch's, whose gradients choose the correction.
        check: Completions a prompt, beside those, that judge it; 0: it is not judged.
        floors: What an update's effect on an objective must not be below: "zero"; "restoring",
            `strength` times what it has lost since `reference` (T64); "certified", what its
            standard error on the rows that choose leaves open, at `level`.
        strength: κ of restoring floors.
        share: τ of their running mean of rewards; 1: the last batch's.
        reference: "start", "best" or "target".
        fraction: Of the way from the start to the best, for "best".
        target: Mean reward of each objective to reach and hold, for "target"; −inf where there is
            none.
        crossed: Whether the Gramian is the crossed one of two halves of the rows, shrunk (T62).
        objectives: Which are guarded; none named: all.
        every: Updates between two that may be corrected.
        level: One-sided confidence at which a fall counts: that which "needed" waits for, that
            which shortens a step, and that of certified floors.
        backtracking: Whether a corrected step is halved until no certain fall is left (T60).

    Raises:
        CovlawError: on values outside their ranges.
    """

    rows: int = 8
    check: int = 4
    floors: str = "restoring"
    strength: float = 0.3
    share: float = 1.0
    reference: str = "start"
    fraction: float = 0.9
    target: tuple[float, ...] = ()
    crossed: bool = False
    objectives: tuple[str, ...] = ()
    every: int = 1
    level: float = 0.95
    backtracking: bool = True

    def __post_init__(self) -> None:
        check_kinds(self)
        for name in ("target", "objectives"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        check_counts(self, {0: ("check",), 1: ("every",), 2: ("rows",)})
        check_choices(self, {"floors": FLOORS})
        if self.check == 1:
            raise CovlawError("guard_options.check is 1: a covariance needs 2 completions, or 0")
        if self.crossed and self.rows < 4:
            raise CovlawError(
                f"guard_options.rows is {self.rows}: a crossed Gramian needs two halves of 2 or "
                "more; use 4 or more, or crossed = false"
            )
        if not all(isinstance(name, str) for name in self.objectives):
            raise CovlawError(
                f"guard_options.objectives is {list(self.objectives)!r}: use their names"
            )
        if not 0.5 < self.level < 1:
            raise CovlawError(f"guard_options.level is {self.level}: use e.g. 0.95, in (0.5, 1)")

    def for_objectives(self, names: tuple[str, ...]) -> "GuardSettings":
        """Itself, checked against a run's objectives.

        Raises:
            CovlawError: for an unknown one, or as `RestoringFloors`.
        """
        for name in self.objectives:
            if name not in names:
                raise unknown("objective in guard_options.objectives", name, names)
        self._restoring(len(names))  # whatever the floors: no option is wrong in silence
        return self

    def restoring(self, objectives: int) -> RestoringFloors | None:
        """The restoring floors, where these are they."""
        return self._restoring(objectives) if self.floors == "restoring" else None

    def _restoring(self, objectives: int) -> RestoringFloors:
        reference: Any = self.reference
        return RestoringFloors(
            objectives, self.strength, self.share, reference, self.fraction, self.target or None
        )

    def guarded(self, names: tuple[str, ...]) -> tuple[bool, ...]:
        """Which of a run's objectives are guarded."""
        return tuple(not self.objectives or name in self.objectives for name in names)

    def table(self) -> dict[str, Any]:
        """As TOML has it."""
        lists = {name: list(getattr(self, name)) for name in ("target", "objectives")}
        return asdict(self) | lists


def completed_options(guard: str, given: Any, names: tuple[str, ...]) -> dict[str, Any]:
    """Check `guard_options` and add the defaults, so that a guarded run's record names them all.

    Raises:
        CovlawError: for an unknown option, a bad value, or options where the guard is off.
    """
    if not isinstance(given, Mapping):
        raise CovlawError(f'guard_options is {given!r}: use a table, e.g. {{floors = "zero"}}')
    if guard == "off":
        if given:
            raise CovlawError('guard_options are given and guard is "off": set guard = "on"')
        return {}
    known = tuple(field.name for field in fields(GuardSettings))
    for name in given:
        if name not in known:
            raise unknown("option in guard_options", str(name), known)
    return GuardSettings(**given).for_objectives(names).table()
