"""`covlaw llm eval`: models and runs on a split, each reward with intervals, and compared."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro
from rich.table import Table
from rich.text import Text

from covlaw.ladder.commands.llm.settings import read_settings, require_llm
from covlaw.ladder.commands.llm.train import Settings
from covlaw.ladder.screen import Console
from covlaw.ladder.terminal import stoppable
from covlaw.theory._numerics.errors import CovlawError

if TYPE_CHECKING:
    from covlaw.llm.evaluate.evaluation import Scores

_console = Console()
_BAR = 40


def evaluate(
    models: Annotated[tuple[str, ...], tyro.conf.Positional] = ("base",),
    split: str = "test",
    task: str | None = None,
    task_path: str | None = None,
    rewards: tuple[str, ...] | None = None,
    completions: int = 16,
    max_tokens: int | None = None,
    temperature: float | None = None,
    mean_length: float | None = None,
    engine: str = "transformers",
    device: str | None = None,
    limit: int = 0,
    seed: int = 0,
    set: Settings = (),
    write: bool = False,
) -> None:
    """Evaluate models or runs: rewards, pass@k and lengths, with errors clustered by prompt.

    Several are compared with the first one, on the same prompts and random numbers.

    Args:
        models: Run folders, hub ids, local paths, or "base"; a run's own settings are defaults.
        split: train, val or test.
        task: arithmetic, math500, jsonl, json, csv, parquet or arrow.
        task_path: Folder, file or hub id of the task's files, where it has any.
        rewards: As in `covlaw llm train`, e.g. accuracy brief=my.py:brief.
        completions: Completions a prompt.
        max_tokens: Longest completion.
        temperature: Of sampling.
        mean_length: Tokens that conciseness is judged against; none: what the first run had at
            its end, or else the first model's own mean.
        engine: transformers or vllm (docs/vllm.md).
        device: Torch device.
        limit: At most so many prompts; 0: all.
        seed: Of sampling.
        set: Other settings of `covlaw.llm.evaluate.config.EvalConfig`.
        write: Whether to write eval.json into each run's folder.
    """
    require_llm()
    with stoppable():
        from covlaw.llm.evaluate.config import is_run

    chosen = {
        **{"task": task, "task_path": task_path, "rewards": rewards, "max_tokens": max_tokens},
        **{"temperature": temperature, "mean_length": mean_length, "device": device},
    }
    given = {"split": split, "completions": completions, "engine": engine, "limit": limit}
    given |= {"seed": seed, **{k: v for k, v in chosen.items() if v is not None}}
    plain = [model for model in models if not is_run(model)]
    if write and plain:
        raise CovlawError(f"--write: {plain[0]} is no run folder, so there is none for eval.json")
    found = _evaluate_all(models, given | read_settings(set))
    for model, scores in zip(models, found, strict=True):
        _show(model, scores)
        if write:
            _write(Path(model), scores)
    for model, scores in zip(models[1:], found[1:], strict=True):
        _show_comparison(models[0], model, found[0], scores)


def _evaluate_all(models: tuple[str, ...], given: dict[str, Any]) -> "list[Scores]":
    """Evaluate one after the other; all are judged as the first one is."""
    from covlaw.llm.evaluate.config import EvalConfig
    from covlaw.llm.evaluate.evaluation import evaluate as run_evaluation

    configs = [EvalConfig.of(model, given) for model in models]
    found = [run_evaluation(configs[0])]
    shared = {
        name: getattr(configs[0], name)
        for name in ("task", "task_path", "task_options", "rewards", "max_tokens", "temperature")
    } | {"mean_length": found[0].mean_length}
    for model in models[1:]:
        found.append(run_evaluation(EvalConfig.of(model, given | shared)))
    return found


def _show(model: str, scores: "Scores") -> None:
    from covlaw.llm.evaluate.summary import describe_lengths, pass_estimates, reward_estimates

    _console.print(Text(f"\n{model}", style="bold"), soft_wrap=True)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("reward", "mean", "standard error", "95 % interval"):
        table.add_column(name, justify="left" if name == "reward" else "right")
    for row in (*reward_estimates(scores), *pass_estimates(scores)):
        interval = f"{row.low:.4f} … {row.high:.4f}"
        table.add_row(
            Text(row.name), f"{row.mean:.4f}", f"{row.standard_error:.4f}", Text(interval)
        )
    _console.print(table)
    count = len(scores.references)
    _console.print(f"{count} prompts × {scores.config.completions} completions, errors by prompt")
    own = "" if scores.config.mean_length else ", the mean of these completions"
    _console.print(f"rewards by length judged against {scores.mean_length:.1f} tokens{own}")
    _show_lengths(describe_lengths(scores))


def _show_lengths(lengths: Any) -> None:
    marks = "  ".join(f"{name} {mark:g}" for name, mark in lengths.quantiles.items())
    _console.print(f"tokens: mean {lengths.mean:.1f}; {marks}; cut off {lengths.cut_off:.1%}")
    largest = max(lengths.counts)
    for low, high, count in zip(lengths.edges, lengths.edges[1:], lengths.counts, strict=False):
        bar = "█" * round(_BAR * count / largest)
        _console.print(Text(f"{low:7.1f} – {high:7.1f} {bar} {count}"))


def _show_comparison(base: str, other: str, first: "Scores", second: "Scores") -> None:
    from covlaw.llm.evaluate.summary import compare

    _console.print(Text(f"\n{other} minus {base}, prompt by prompt", style="bold"), soft_wrap=True)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("reward", "difference", "95 % interval"):
        table.add_column(name, justify="left" if name == "reward" else "right")
    for name, row in compare(first, second).items():
        table.add_row(Text(name), f"{row.mean:+.4f}", f"{row.low:+.4f} … {row.high:+.4f}")
    _console.print(table)


def _write(run: Path, scores: "Scores") -> None:
    from covlaw.llm.evaluate.summary import to_record
    from covlaw.records.files import to_json, write_text

    write_text(run / "eval.json", to_json(to_record(scores), indent=1) + "\n")
    _console.print(f"written: {run / 'eval.json'}", soft_wrap=True, markup=False)
