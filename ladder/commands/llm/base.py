"""`covlaw llm base`."""

from dataclasses import replace
from pathlib import Path

from rich.console import Console

from covlaw.ladder.commands.llm.settings import require_llm
from covlaw.ladder.progress import progress
from covlaw.ladder.terminal import stoppable

_console = Console()


def base(
    mixture: str = "default", difficulty: str = "digits", out: Path | None = None, seed: int = 0
) -> None:
    """Train a small base model of the LLM rung from scratch (about a minute of CPU).

    Args:
        mixture: Of answer styles: default, aligned, stepwise-right or costly (docs/presets.md).
        difficulty: Of the arithmetic: digits, teens, products or tens.
        out: Folder for it (Hugging Face format); none: the cache, where `train` looks.
        seed: Of its initialisation and data.
    """
    require_llm()
    with stoppable():
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
