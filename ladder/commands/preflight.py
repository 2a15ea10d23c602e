"""`covlaw preflight`: what weights would do, from samples of a model that was not trained yet."""

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from covlaw.ladder.commands.llm.settings import read_settings, require_llm
from covlaw.ladder.commands.llm.train import Settings
from covlaw.ladder.terminal import stoppable

if TYPE_CHECKING:
    from covlaw.llm.evaluate.config import EvalConfig
    from covlaw.plugins.inspection.inspection import Inspection
    from covlaw.plugins.logs.log import Log

TRIED = 2
"""Prompts that are timed before all are sampled."""


def preflight(
    model: str = "base",
    log: tuple[str, ...] = (),
    task: str | None = None,
    task_path: str | None = None,
    rewards: tuple[str, ...] | None = None,
    weights: tuple[str, ...] = (),
    advantage: str = "auto",
    prompts: int = 64,
    completions: int = 16,
    max_tokens: int | None = None,
    engine: str = "transformers",
    seed: int = 0,
    set: Settings = (),
    json: Path | None = None,
    dry_run: bool = False,
) -> None:
    """Sample a model before a run and say where weights would lead.

    The same inspection as `covlaw inspect`, of base samples, with sets of weights side by side.

    Args:
        model: Hub id, local path, "base", or a run's folder.
        log: Base rollouts that are there already, in place of a model.
        task: arithmetic, math500, jsonl, json, csv, parquet or arrow.
        task_path: Folder, file or hub id of the task's files, where it has any.
        rewards: As in `covlaw llm train`, e.g. accuracy brief=my.py:brief.
        weights: Sets of weights to compare, e.g. 1,1,1 2,1,1; none: equal ones. The mix that
            raises the worst-off reward most is always among them.
        advantage: As in `covlaw inspect`.
        prompts: Prompts of the training split.
        completions: Completions a prompt.
        max_tokens: Longest completion.
        engine: transformers or vllm (docs/vllm.md).
        seed: Of sampling.
        set: Other settings of `covlaw.llm.evaluate.config.EvalConfig`.
        json: File with every number, of the first weights.
        dry_run: Stop after the estimate of the time.
    """
    with stoppable():
        from covlaw.ladder.inspected import show, side_by_side
        from covlaw.ladder.tables import console
        from covlaw.plugins.inspection.inspection import inspect_log
        from covlaw.plugins.logs.read import read_log

    out = console()
    sets: list[list[float] | None] = [_numbers(text) for text in weights]
    sets = sets or [None]
    if log:
        rollouts = read_log(list(log))
    else:
        require_llm()
        from covlaw.llm.evaluate.config import EvalConfig

        given: dict[str, Any] = {"split": "train", "limit": prompts, "completions": completions}
        given |= {"engine": engine, "seed": seed}
        chosen: dict[str, Any] = {"task": task, "task_path": task_path, "max_tokens": max_tokens}
        chosen |= {"rewards": rewards}
        given |= {key: value for key, value in chosen.items() if value is not None}
        config = EvalConfig.of(model, given | read_settings(set))
        _check(sets, config.objectives)
        out.print(_costs(config), highlight=False, markup=False)
        if dry_run:
            return
        rollouts = _sampled(config)
    found = inspect_log(rollouts, sets[0], advantage)
    show(found, out)
    side_by_side([found, *_others(rollouts, sets[1:], advantage, found)], out)
    if json:
        from covlaw.records.files import to_json, write_text, writing_to

        with writing_to(json):
            write_text(json, to_json(found.to_dict(), indent=1) + "\n")


def _others(
    log: "Log", sets: Sequence[list[float] | None], advantage: str, first: "Inspection"
) -> list["Inspection"]:
    from covlaw.plugins.inspection.inspection import inspect_log

    best = first.rising.mix.weights.tolist() if first.rising.answer != "none" else None
    wanted = [*sets, *([best] if best is not None else [])]
    return [inspect_log(log, weights, advantage) for weights in wanted]


def _check(sets: Sequence[list[float] | None], names: tuple[str, ...]) -> None:
    """Refuse weights that do not fit before anything is sampled."""
    from covlaw.plugins.inspection.signals import as_weights

    for weights in sets:
        as_weights(weights, names)


def _costs(config: "EvalConfig") -> str:
    """What sampling will take, by a try of a few prompts; loading the model is timed apart."""
    from covlaw.llm.model.policy import load_policy

    start = time.monotonic()
    load_policy(config.model, config.device)
    loading = time.monotonic() - start
    _sampled(replace(config, limit=TRIED))
    trying = max(time.monotonic() - start - 2 * loading, 0.0)
    rows = config.limit * config.completions
    return (
        f"{config.limit} prompts × {config.completions} completions: at most "
        f"{rows * config.max_tokens:,} tokens, about {loading + trying * config.limit / TRIED:.0f} "
        f"s at most ({TRIED} prompts took {trying:.1f} s, loading the model {loading:.1f} s)"
    )


def _sampled(config: "EvalConfig") -> "Log":
    """Sample and score."""
    import torch

    from covlaw.llm.evaluate.evaluation import evaluate
    from covlaw.plugins.logs.log import Log
    from covlaw.theory._numerics.opinions import without_opinion

    scores = evaluate(config)
    count, each, _ = scores.rewards.shape
    prompt = torch.arange(count).repeat_interleave(each)
    return Log(
        torch.zeros_like(prompt),
        prompt,
        without_opinion(scores.rewards.flatten(0, 1), prompt),
        config.objectives,
        tuple(range(count)),
        length=scores.lengths.flatten().double(),
        format="samples",
    )


def _numbers(text: str) -> list[float]:
    from covlaw.theory._numerics.errors import CovlawError

    try:
        return [float(part) for part in text.split(",")]
    except ValueError as error:
        raise CovlawError(f"--weights {text}: give numbers with commas, e.g. 1,1,0.5") from error
