"""`covlaw ladder`: every rung, a live table, verdicts.json and report.html."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro
from rich.text import Text

from covlaw.ladder.exit_codes import FAILED, REFUTED
from covlaw.ladder.screen import Console
from covlaw.ladder.terminal import stoppable
from covlaw.theory._numerics.errors import CovlawError

if TYPE_CHECKING:
    from covlaw.ladder.climb.state import ClimbState


def ladder(
    out: Path = Path("runs/ladder"),
    rungs: Annotated[tuple[str, ...], tyro.conf.arg(metavar="RUNG …")] = (),
    quick: bool = False,
    seed: int = 0,
    jobs: int = 2,
    base: str = "base",
    pretrained: str = "smollm2",
    fresh: bool = False,
) -> int:
    """Climb every rung: check each statement where it makes sense, then write the report.

    A ladder that was killed continues where it stood; a finished one is only reported again.

    Args:
        out: Folder for verdicts, records and report.
        rungs: Which: theory, bandit, tabular, transformer, llm; none: all of these. Where it is
            named, pretrained too: a real chat model, minutes.
        quick: A minute (with a prepared base model); says what it leaves out.
        seed: The same seed gives the same verdicts, byte for byte.
        jobs: Processes at a time, one thread each.
        base: Base model of the LLM rung: folder, hub id, or "base" for the cached small one.
        pretrained: Model of the rung pretrained: "smollm2", folder or hub id.
        fresh: Start over: remove what an earlier ladder left in the folder.
    """
    if jobs < 1:
        raise CovlawError(f"jobs is {jobs}: use a whole number ≥ 1")
    with stoppable():
        from covlaw.ladder.climb.folder import LadderFolder
        from covlaw.ladder.climb.live import Display
        from covlaw.ladder.climb.plan import Settings
        from covlaw.ladder.climb.run import climb
        from covlaw.ladder.report import write_report
        from covlaw.theory.worlds.rungs import RUNG_NAMES

    named = tuple(dict.fromkeys(rungs or RUNG_NAMES))
    settings = Settings(named, seed, quick, base, pretrained)
    for rung, model in {"llm": base, "pretrained": pretrained}.items():
        if rung in settings.rungs:
            from covlaw.llm.plan.model_names import require_model

            require_model(model)
    folder = LadderFolder(out, settings, fresh)
    console = Console()
    with Display(Console(stderr=True), jobs) as show:
        state = climb(folder, settings, jobs, show)
    folder.write_verdicts(list(state.verdicts.values()))
    page = write_report(out)
    _summary(console, state, page)
    if any(v["status"] == "refuted" for v in state.verdicts.values()):
        return REFUTED
    return FAILED if state.failures else 0


def _summary(console: Console, state: "ClimbState", page: Path) -> None:
    from covlaw.ladder.climb.matrix import counts, matrix
    from covlaw.ladder.progress import duration
    from covlaw.ladder.report.run_facts import guard_words
    from covlaw.records.ladder import llm_runs

    console.print(matrix(state.verdicts, state.settings.rungs, console.width))
    console.print()
    console.print(counts(state.verdicts.values()))
    if guard := guard_words(llm_runs(state.folder)):
        console.print(Text(f"guard: {guard}"), soft_wrap=True)
    for name, error in state.failures.items():
        console.print(Text(f"crashed: {name}: {error} (see failures.log)", style="bold red"))
    if state.settings.omitted:
        console.print(Text(f"left out: {'; '.join(state.settings.omitted)}", style="yellow"))
    console.print(Text(f"{duration(state.elapsed)} min; report: {page}"), soft_wrap=True)
