"""`covlaw llm base` and `covlaw llm audit`."""

from dataclasses import replace
from math import isnan
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console
from rich.table import Table
from rich.text import Text

from covlaw.ladder.llm_settings import require_llm
from covlaw.ladder.progress import progress

_console = Console()


def base(
    mixture: str = "default", difficulty: str = "digits", out: Path | None = None, seed: int = 0
) -> None:
    """Train a small base model of the LLM rung from scratch (about a minute of CPU).

    Args:
        mixture: Of answer styles: default, aligned, stepwise-right or costly (docs/presets.md).
        difficulty: Of the arithmetic: digits, teens or products.
        out: Folder for it (Hugging Face format); none: the cache, where `train` looks.
        seed: Of its initialisation and data.
    """
    require_llm()
    from covlaw.llm.base import base_config, default_root, ensure_base, train_base

    config = replace(base_config(mixture, difficulty), seed=seed)
    with progress("training the base model") as show:

        def news(done: int, total: int, loss: float) -> None:
            show(done, total, f"loss {loss:.3f}")

        if out is None:
            path = ensure_base(config, default_root(), news)
        else:
            path = train_base(config, out, news)
    _console.print(f"base model: {path}", soft_wrap=True, highlight=False, markup=False)


def audit(run: Annotated[Path, tyro.conf.Positional]) -> None:
    """Show what the law forecast at a run's audits, and what then happened.

    Args:
        run: Run folder.
    """
    require_llm()
    from covlaw.llm.verdict import run_verdict

    rows, agreement = run_verdict(run)
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    for name in ("step", "objective", "law", "first order", "exact", "measured", "own batch"):
        table.add_column(name, justify="left" if name == "objective" else "right")
    for row in rows:
        estimates = [row.forecasts[n] for n in ("law", "first_order", "exact_change")]
        cells = [
            "–" if isnan(e.value) else f"{e.value:+.3f}±{e.error:.3f}"  # no law, token by token
            for e in (*estimates, row.measured)
        ]
        table.add_row(str(row.step), Text(row.objective), *cells, f"{row.same_sample.value:+.3f}")
    _console.print(table)
    _console.print("\nchange of each objective in one step; ± standard error, clustered by prompt")
    _console.print(
        "own batch: the exact form on the samples that made the update, for comparison\n"
    )
    for name, signs in agreement.items():
        label = name.replace("_", " ")
        _console.print(f"{label:16} sign right in {signs.agree} of {signs.clear} clear cases")
