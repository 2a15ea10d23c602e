"""`covlaw llm train` and `covlaw llm presets`."""

import os
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import tyro
from rich.table import Table
from rich.text import Text

from covlaw.ladder.commands.llm.settings import read_settings, require_llm
from covlaw.ladder.progress import progress, training_news
from covlaw.ladder.screen import Console
from covlaw.ladder.terminal import stoppable

_console, _news = Console(), Console(stderr=True)

Settings = tyro.conf.UseAppendAction[
    Annotated[tuple[str, ...], tyro.conf.arg(metavar="KEY=VALUE …")]
]


def train(
    preset: str = "cpu-demo",
    out: Path | None = None,
    scalarizer: str | None = None,
    model: str | None = None,
    seed: int | None = None,
    set: Settings = (),
    dry_run: bool = False,
) -> None:
    """Train with RL on several rewards, auditing the covariance law on the way.

    A run that was killed continues when the same command is given again.

    Args:
        preset: Settings to start from (`covlaw llm presets`), or a TOML file of your own.
        out: Run folder; none: runs/<scalarizer>-seed<seed>.
        scalarizer: A name of `covlaw scalarizers`, or mine=path/to/file.py:Class.
        model: Hub id, local path, "base", or "base:MIXTURE".
        seed: Of the run.
        set: Other settings of `covlaw.llm.config.train_config.TrainConfig`, as TOML values, e.g.
            normaliser=pooled_within or options.ctwa.target=0.02.
        dry_run: Check all that can be checked without the model, print the plan, and stop.
    """
    require_llm()
    first = os.environ.get("RANK", "0") == "0"  # the others show nothing
    if first:
        _news.print(Text(f"reading preset {preset}, loading torch and transformers"), style="dim")
    with stoppable():
        from covlaw.llm.config.train_config import TrainConfig
        from covlaw.llm.distributed.checks import launched
        from covlaw.llm.train import train as run_training

    chosen: dict[str, Any] = {"scalarizer": scalarizer, "model": model, "seed": seed}
    overrides = read_settings(set) | {k: v for k, v in chosen.items() if v is not None}
    config = TrainConfig.preset(preset, **overrides)
    shown = config.scalarizer_name.rpartition(":")[2]  # of a place, its last part
    default = f"runs/{shown}-seed{config.seed}"
    config = config.with_options(out=str(out or overrides.get("out", default)))
    if launched(os.environ).rank > 0:  # rank 0 shows what there is to show
        if not dry_run:
            run_training(config)
        return
    if dry_run:
        _show_plan(config)
        return
    _news.print(Text(_intention(config)), style="dim", soft_wrap=True)
    with progress("training") as show:

        def news(done: int, total: int, record: dict[str, Any]) -> None:
            show(done, total, training_news(record))

        path = run_training(config, news)
    for line in _ending(path):
        _console.print(Text(line), soft_wrap=True)


def presets() -> None:
    """List the presets of `covlaw llm train`, a line each."""
    require_llm()
    with stoppable():
        from covlaw.llm.config.preset_files import preset_names

    table = Table.grid(padding=(0, 2))
    for name, about in preset_names().items():
        table.add_row(Text(name, style="bold", no_wrap=True), Text(about))
    _console.print(table)


def _intention(config: Any) -> str:
    """What is about to happen, before the first step is done."""
    return (
        f"{config.steps} steps of {config.scalarizer_name} on {', '.join(config.objectives)}, "
        f"from model {config.model}, into {config.out}; the first step comes when model and data "
        "are loaded"
    )


def _ending(folder: Path) -> Iterator[str]:
    """What happened: rewards before and after, who fell, and what to do next."""
    from covlaw.records.ladder import llm_run
    from covlaw.records.verdict.headline import ends_words, headline

    run = llm_run(folder)
    if run is None:
        yield f"run: {folder}"
        return
    ends = run.ends
    lost = [name for name, gone in zip(run.objectives, ends.sacrificed, strict=True) if gone]
    yield f"mean rewards, first and last steps: {', '.join(ends_words(run.objectives, *ends[:2]))}"
    if bool(ends.fallen.any()):
        yield headline([run])
    else:
        yield "No objective fell for certain."
    if lost:
        yield f"sacrificed (more than 10 % of what it had to lose): {', '.join(lost)}"
    place = shlex.quote(str(folder))
    audited = any(step["audits"] for step in run.steps)
    audit = f", covlaw llm audit {place} (its audits)" if audited else ""
    yield f"next: covlaw report {place} (a page){audit}"


def _show_plan(config: Any) -> None:
    from covlaw.ladder.commands.llm.plan import plan_rows
    from covlaw.llm.plan.train_plan import make_plan

    plan = make_plan(config)
    table = Table.grid(padding=(0, 2))
    for name, value in plan_rows(plan):
        table.add_row(Text(name, style="bold", no_wrap=True), Text(value))
    _console.print(table)
    for note in plan.notes:
        _console.print(Text(f"note: {note}"), soft_wrap=True)
    rewards = shlex.join(config.rewards)
    hint = f"covlaw preflight --model {config.model} --task {config.task} --rewards {rewards}"
    _console.print(Text(f"where these rewards would lead, before a step: {hint}"), soft_wrap=True)
