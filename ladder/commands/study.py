"""`covlaw study`: who is sacrificed, by which algorithm, in which world, and was it forecast?"""

from pathlib import Path
from typing import Annotated

import tyro
from rich.text import Text

from covlaw.ladder.exit_codes import FAILED
from covlaw.ladder.progress import progress
from covlaw.ladder.screen import Console
from covlaw.ladder.terminal import stoppable
from covlaw.theory._numerics.errors import CovlawError


def study(
    out: Path = Path("runs/study"),
    worlds: Annotated[tuple[str, ...], tyro.conf.arg(metavar="WORLD …")] = (),
    scalarizers: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME …")] = (),
    signals: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME …")] = (),
    seeds: int = 0,
    seed: int = 0,
    quick: bool = False,
    full: bool = False,
    guard: bool = False,
    cells: int = 0,
    jobs: int = 2,
    fresh: bool = False,
) -> int:
    """The interference study: who is sacrificed, by which algorithm, in which world.

    A study that was killed continues where it stood; a finished one is only shown again. All rows
    are in table.jsonl, a line a run and objective; what is printed is in summary.json.

    Args:
        out: Folder for the rows and the summary.
        worlds: bandit, bandit_natural, tabular, transformer, each under SGD and AdamW where it has
            both; none: these; and llm (minutes a run: only when asked for).
        scalarizers: Algorithms, e.g. ctwa mgda-ref; none: all, and as the reference
            implementation behaves, where that differs.
        signals: raw, grpo, whitened, pooled; none: all.
        seeds: Worlds drawn a cell (conflict, scale, architecture, …); 0: each world's default.
        seed: The first of them.
        quick: Half a minute: two cells a world, few seeds, short runs.
        full: Every signal and clip on every seed, instead of one of them in turn.
        guard: Five algorithms (or those named) with and without guards, their controls and rivals,
            on exact gradients and on samples.
        cells: So many settings of each world (conflict, architecture, …), evenly spread; 0: all.
        jobs: Processes at a time, one thread each.
        fresh: Start over: remove what an earlier study left in the folder.
    """
    if jobs < 1:
        raise CovlawError(f"jobs is {jobs}: use a whole number ≥ 1")
    with stoppable():
        from covlaw.ladder.study.folder import TABLE, StudyFolder
        from covlaw.ladder.study.plan import all_runs
        from covlaw.ladder.study.run import carry_out
        from covlaw.ladder.study.settings import WORLD_NAMES, StudySettings
        from covlaw.ladder.study.summary import summarise
        from covlaw.ladder.study.table import tidy, with_rivals
        from covlaw.ladder.study.terminal_tables import show_study
        from covlaw.records.resumable_folder import FAILURES

    settings = StudySettings(
        worlds or WORLD_NAMES[:-1], scalarizers, signals, seeds, seed, quick, full, guard, cells
    )
    folder = StudyFolder(out, settings, fresh)
    with progress("studying") as show:
        found = carry_out(folder, settings, jobs, show)
    order = [run.name for run in all_runs(settings)]
    rows = with_rivals([found[name] for name in order if name in found])
    summary = summarise(rows, settings)
    folder.write_table(tidy(rows))
    folder.write_summary(summary)
    console = Console()
    if rows:
        show_study(console, summary)
    console.print(Text(f"{len(rows)} runs; table: {out / TABLE}"), soft_wrap=True)
    missing = len(order) - len(rows)
    if missing:
        console.print(f"{missing} runs crashed: see {out / FAILURES}", style="bold red")
    return FAILED if missing else 0
