"""Rung 4, and `pretrained`: recorded RL runs as a source of updates and clipped inner steps."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from covlaw.llm.audit.record import Evidence, Measured, load_evidence
from covlaw.llm.rewards import reward_names
from covlaw.records.runs import CONFIG, read_config
from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory.worlds.rungs import Instance
from covlaw.theory.worlds.token_tree import TokenTree
from covlaw.theory.worlds.updates import InnerStep, Update
from covlaw.theory.worlds.world import World

RUNS_VARIABLE = "COVLAW_RUNS"
"""Environment variable: where `covlaw check --rung llm` looks for recorded runs."""


def instances(run: Path, kind: type) -> Iterator[Instance]:
    """Yield what a statement needs from the audits of one run, in the order of its steps.

    Raises:
        CovlawError: if the folder holds no run, or one without audits.
    """
    config = read_config(run)
    files = sorted((run / "audits").glob("step_*.safetensors"))
    if not files:
        raise CovlawError(f"{run} has no audits: train with audits ≥ 1")
    clip = (config["clip_low"], config["clip_high"], config["dual_clip"] or None)
    names = reward_names(config["rewards"])
    for path in files:
        evidence, measured = load_evidence(path, names)
        label = f"{config['scalarizer']} seed {config['seed']} {path.stem.replace('_', ' ')}"
        if kind is Update:
            yield _update(label, evidence, measured)
        elif kind is InnerStep and not evidence.by_token:  # its A is one a completion
            yield from _inner_steps(label, evidence, clip)


def _update(label: str, evidence: Evidence, measured: Measured) -> Update:
    change = (measured.estimate, measured.standard_error)
    return Update(label, evidence.rollouts, evidence.fields, *change)


def _inner_steps(
    label: str, evidence: Evidence, clip: tuple[float, float, float | None]
) -> Iterator[InnerStep]:
    """The inner steps taken, and the one that would follow at π_new."""
    ratios = [ratio for _, ratio in evidence.inner] + [evidence.fields.log_ratio]
    for k, log_ratio in enumerate(ratios):
        yield InnerStep(
            f"{label} inner {k}", evidence.rollouts, evidence.advantage, log_ratio, *clip
        )


class _RecordedRuns:
    """All runs below a folder; of `pretrained` those that a ladder has in a folder of that name."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._where = "**/audits" if name == "llm" else f"**/{name}/*/audits"

    def worlds(self, rng: np.random.Generator, count: int) -> Iterator[World]:
        del rng, count
        return iter(())

    def updates(self, rng: np.random.Generator, count: int) -> Iterator[Update]:
        del rng, count
        return (i for run in self._runs() for i in instances(run, Update) if isinstance(i, Update))

    def inner_steps(self, rng: np.random.Generator, count: int) -> Iterator[InnerStep]:
        del rng, count
        found = (i for run in self._runs() for i in instances(run, InnerStep))
        return (i for i in found if isinstance(i, InnerStep))

    def trees(self, rng: np.random.Generator, count: int) -> Iterator[TokenTree]:
        del rng, count
        return iter(())

    def default_count(self, kind: type) -> int:
        del kind
        return 1_000_000  # all that is recorded

    def _runs(self) -> list[Path]:
        root = Path(os.environ.get(RUNS_VARIABLE, "runs"))
        found = root.glob(f"{self._where}/*.safetensors")
        runs = sorted({path.parent.parent for path in found})
        runs = [run for run in runs if (run / CONFIG).exists()]
        if not runs:
            raise CovlawError(
                f"no audited run below {root}: run `{_MAKES[self.name]}` first, or set "
                f"{RUNS_VARIABLE}"
            )
        return runs


_MAKES = {"llm": "covlaw llm train", "pretrained": "covlaw ladder --rungs pretrained"}
RUNG = _RecordedRuns("llm")
"""Audits of recorded RL runs of language models, sampled."""
PRETRAINED = _RecordedRuns("pretrained")
"""Audits of short RL runs of a pretrained chat model, where a ladder was asked for them."""
