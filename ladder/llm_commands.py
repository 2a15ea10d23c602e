"""`covlaw llm …`: the base model, RL runs, their audits, evaluation."""

import tomllib
from importlib.util import find_spec
from math import isnan
from pathlib import Path
from typing import Annotated, Any

import tyro
from rich.console import Console
from rich.table import Table
from rich.text import Text

from covlaw.ladder.progress import progress
from covlaw.theory.errors import CovlawError

_console = Console()


def base(out: Path | None = None, seed: int = 0) -> None:
    """Train the small base model of the LLM rung from scratch (about two minutes of CPU).

    Args:
        out: Folder for it (Hugging Face format); none: the cache, where `train` looks.
        seed: Of its initialisation and data.
    """
    _require_llm()
    from covlaw.llm.base import BaseConfig, default_root, ensure_base, train_base

    config = BaseConfig(seed=seed)
    with progress("training the base model") as show:

        def news(done: int, total: int, loss: float) -> None:
            show(done, total, f"loss {loss:.3f}")

        if out is None:
            path = ensure_base(config, default_root(), news)
        else:
            path = train_base(config, out, news)
    _console.print(f"base model: {path}", soft_wrap=True, highlight=False, markup=False)


def train(
    preset: str = "cpu-demo",
    out: Path | None = None,
    scalarizer: str | None = None,
    model: str | None = None,
    seed: int | None = None,
    set: Annotated[tuple[str, ...], tyro.conf.arg(metavar="KEY=VALUE …")] = (),
) -> None:
    """Train with RL on several rewards, auditing the covariance law on the way.

    A run that was killed continues when the same command is given again.

    Args:
        preset: Settings to start from (llm/presets).
        out: Run folder; none: runs/<scalarizer>-seed<seed>.
        scalarizer: Name in `covlaw.theory.scalarizers.SCALARIZERS`.
        model: Hub id, local path, or "base".
        seed: Of the run.
        set: Other settings of `covlaw.llm.config.TrainConfig`, as TOML values, e.g.
            normaliser=pooled_within or options.ctwa.target=0.02.
    """
    _require_llm()
    from covlaw.llm.config import TrainConfig
    from covlaw.llm.train import train as run_training

    chosen: dict[str, Any] = {"scalarizer": scalarizer, "model": model, "seed": seed}
    overrides = _settings(set) | {k: v for k, v in chosen.items() if v is not None}
    config = TrainConfig.preset(preset, **overrides)
    default = f"runs/{config.scalarizer}-seed{config.seed}"
    folder = out or Path(overrides.get("out", default))
    with progress("training") as show:

        def news(done: int, total: int, record: dict[str, Any]) -> None:
            show(done, total, _means(record))

        path = run_training(config.with_options(out=str(folder)), news)
    _console.print(Text(f"run: {path} (covlaw report {path})"), soft_wrap=True)


def audit(run: Annotated[Path, tyro.conf.Positional]) -> None:
    """Show what the law forecast at a run's audits, and what then happened.

    Args:
        run: Run folder.
    """
    _require_llm()
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


def evaluate(
    model: str = "base",
    task: str = "arithmetic",
    task_path: str = "",
    split: str = "test",
    completions: int = 16,
    max_tokens: int = 44,
    temperature: float = 1.0,
    top_k: int = 0,
    top_p: float = 1.0,
    engine: str = "transformers",
    limit: int = 0,
    seed: int = 0,
) -> None:
    """Evaluate a model: each reward's mean on a split, with errors clustered by prompt.

    Args:
        model: Hub id, local path, "base", or the model/ folder of a run.
        task: arithmetic or math500.
        task_path: Folder or hub id of the task's files, where it has any.
        split: train, val or test.
        completions: Completions a prompt.
        max_tokens: Longest completion.
        temperature: Of sampling.
        top_k: Only so many of the likeliest tokens are drawn; 0: all.
        top_p: Only the fewest tokens that hold this mass are drawn; 1: all.
        engine: transformers or vllm (docs/vllm.md).
        limit: At most so many prompts; 0: all.
        seed: Of sampling.
    """
    _require_llm()
    from covlaw.llm.evaluate import EvalConfig
    from covlaw.llm.evaluate import evaluate as run_evaluation

    config = EvalConfig(
        model,
        task,
        task_path,
        split,
        completions=completions,
        max_tokens=max_tokens,
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        engine=engine,
        limit=limit,
        seed=seed,
    )
    found, length = run_evaluation(config)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("reward", "mean", "standard error"):
        table.add_column(name, justify="left" if name == "reward" else "right")
    for row in found:
        table.add_row(Text(row.objective), f"{row.mean:.4f}", f"{row.standard_error:.4f}")
    _console.print(table)
    _console.print(f"mean length {length:.1f} tokens")


def _require_llm() -> None:
    if find_spec("transformers") is None:
        raise CovlawError("this command needs transformers: pip install 'covlaw[llm]'")


def _settings(pairs: tuple[str, ...]) -> dict[str, Any]:
    settings: dict[str, Any] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise CovlawError(f"setting {pair!r}: write KEY=VALUE, e.g. steps=100")
        try:
            settings[key] = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            settings[key] = value  # plain text needs no quotes
    return settings


def _means(record: dict[str, Any]) -> str:
    means = zip(record["objectives"], record["reward_mean"], strict=True)
    return "  ".join(f"{name} {mean:.2f}" for name, mean in means)
