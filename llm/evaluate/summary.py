"""What an evaluation's scores say: means with intervals, pass@k, lengths, paired differences."""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from covlaw.llm.evaluate.evaluation import Scores
from covlaw.records.schema.versions import RUN
from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory.estimators.bootstrap import LEVEL, Interval, bootstrap_mean
from covlaw.theory.estimators.pass_at_k import pass_at_k

BINS = 10
QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)


class PromptMean(NamedTuple):
    """A mean over prompts."""

    name: str
    mean: float
    standard_error: float
    """std(prompt means)/√P: completions of one prompt are not independent draws of the task."""
    low: float
    """Percentile bootstrap interval over prompts, at `LEVEL`."""
    high: float


def reward_estimates(scores: Scores) -> list[PromptMean]:
    """Each reward's mean."""
    seed, columns = scores.config.seed, scores.by_prompt.T
    return [
        estimate(name, column, seed)
        for name, column in zip(scores.config.objectives, columns, strict=True)
    ]


def pass_estimates(scores: Scores, objective: str = "accuracy") -> list[PromptMean]:
    """pass@1, 2, 4, … up to the completions a prompt; none without that objective.

    Raises:
        CovlawError: if the objective has values other than 0 and 1.
    """
    if objective not in scores.config.objectives:
        return []
    right = scores.rewards[:, :, scores.config.objectives.index(objective)]
    right = right[~right.isnan().any(1)]
    powers = range(right.shape[1].bit_length())
    return [estimate(f"pass@{2**j}", pass_at_k(right, 2**j), scores.config.seed) for j in powers]


def estimate(name: str, by_prompt: Tensor, seed: int) -> PromptMean:
    """Mean, standard error and interval of one value a prompt: (P,), without those that are NaN.

    Raises:
        CovlawError: if fewer than two prompts have one.
    """
    by_prompt = by_prompt[~by_prompt.isnan()]
    if len(by_prompt) < 2:
        raise CovlawError(f"{name} has an opinion on {len(by_prompt)} prompts: 2 are needed")
    interval = bootstrap_mean(by_prompt.numpy(), seed)
    error = float(by_prompt.std()) / len(by_prompt) ** 0.5
    return PromptMean(name, interval.mean, error, interval.low, interval.high)


class Lengths(NamedTuple):
    """Tokens a completion, the end of sequence included."""

    mean: float
    quantiles: dict[str, float]
    edges: list[float]
    """`BINS` + 1 bounds of equally wide bins; a bin holds its lower bound, the last one both."""
    counts: list[int]
    cut_off: float
    """Share that `max_tokens` cut off."""


def describe_lengths(scores: Scores) -> Lengths:
    """Distribution of the lengths."""
    lengths = scores.lengths.flatten()
    low, high = float(lengths.min()), float(lengths.max())
    edges = torch.linspace(low, max(high, low + 1), BINS + 1, dtype=torch.float64)
    counts = torch.histogram(lengths, edges).hist
    marks = torch.quantile(lengths, torch.tensor(QUANTILES, dtype=torch.float64)).tolist()
    return Lengths(
        float(lengths.mean()),
        {f"{100 * q:g}%": mark for q, mark in zip(QUANTILES, marks, strict=True)},
        edges.tolist(),
        [int(count) for count in counts],
        1 - float(scores.finished.double().mean()),
    )


def compare(first: Scores, second: Scores) -> dict[str, Interval]:
    """Second minus first, objective by objective: paired bootstrap over prompts.

    What makes a prompt hard or easy for both cancels in its difference.

    Raises:
        CovlawError: if the two were not scored on the same prompts with the same rewards.
    """
    if first.config.objectives != second.config.objectives:
        raise CovlawError("runs with different rewards cannot be compared: give --rewards")
    if first.references != second.references:
        raise CovlawError(
            f"one model was asked {len(first.references)} prompts, the other other ones "
            f"({len(second.references)}): raise max_prompt_tokens so that none is left out"
        )
    difference = (second.by_prompt - first.by_prompt).T
    seed = first.config.seed
    return {
        name: bootstrap_mean(column[~column.isnan()].numpy(), seed)
        for name, column in zip(first.config.objectives, difference, strict=True)
    }


def to_record(scores: Scores, objective: str = "accuracy") -> dict[str, Any]:
    """The content of eval.json."""
    config = scores.config
    names = ("model", "task", "task_path", "split", "completions", "max_tokens", "temperature")
    return {
        "schema": RUN,
        **{name: getattr(config, name) for name in (*names, "engine", "seed")},
        "objectives": list(config.objectives),
        "n_prompts": len(scores.references),
        "mean_length_judged_against": scores.mean_length,
        "level": LEVEL,
        "rewards": [row._asdict() for row in reward_estimates(scores)],
        "pass_at_k": [row._asdict() for row in pass_estimates(scores, objective)],
        "lengths": describe_lengths(scores)._asdict(),
        "by_prompt": scores.by_prompt.tolist(),
    }
