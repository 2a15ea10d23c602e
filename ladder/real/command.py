"""The command that makes runs again, from their settings."""

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from covlaw.ladder.commands.llm.settings import read_settings
from covlaw.ladder.real.judged import SIZES, Sizes
from covlaw.ladder.real.settings import SAID_ELSEWHERE, Job
from covlaw.llm.config.train_config import TrainConfig

OPTIONS = ("model", "steps", "audits")
"""Settings that are options of the command."""


def command_of(configs: Mapping[Job, TrainConfig], sizes: Sizes = SIZES) -> str:
    """The command that makes these runs and judges them on as many prompts.

    What differs from the preset is set, and always the number of threads: last bits depend on it.

    Args:
        configs: Of the runs.
        sizes: How much judged them.
    """
    first = next(iter(configs.values()))
    words = ["python -m covlaw.ladder.real --model", shlex.quote(first.model)]
    words += ["--seeds", str(1 + max(job.seed for job in configs))]
    words += ["--steps", str(first.steps), "--audits", str(first.audits)]
    if sizes.prompts != SIZES.prompts:
        words += ["--prompts", str(sizes.prompts)]
    words += ["--methods", *dict.fromkeys(job.method for job in configs)]
    changes: dict[str, Any] = {"threads": first.threads}
    for job, config in configs.items():
        changes |= changes_of(job, config)
    return " ".join([*words, "--set", *(_pair(*change) for change in changes.items())])


def changes_of(job: Job, config: TrainConfig) -> dict[str, Any]:
    """What `Job.config` must be given beside the command's options to make these settings.

    A loss or an algorithm that is set opens settings that it would fill, so what is still apart
    when the differences are set is set too.
    """
    given: dict[str, Any] = {name: getattr(config, name) for name in (*OPTIONS, "threads")}
    changes: dict[str, Any] = {}
    for _ in range(2):
        found = job.config(Path(config.out).parent, given | changes)
        changes |= _apart(found.to_dict(), config.to_dict())
    return {k: v for k, v in changes.items() if k not in SAID_ELSEWHERE}


def _apart(usual: Mapping[str, Any], own: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Entries of `own` that are others than usual, tables entry by entry where that can say it."""
    found: dict[str, Any] = {}
    for name, value in own.items():
        before = usual.get(name)
        if before == value:
            continue
        if _grown(before, value):
            found |= _apart(before, value, f"{above}{name}.")  # type: ignore[arg-type]
        else:
            found[f"{above}{name}"] = value
    return found


def _grown(before: Any, now: Any) -> bool:
    """Whether two tables differ by what one has more or otherwise, under names without dots."""
    tables = isinstance(before, Mapping) and isinstance(now, Mapping)
    return tables and set(before) <= set(now) and not any("." in name for name in now)


def _pair(name: str, value: Any) -> str:
    if isinstance(value, str) and read_settings((f"{name}={value}",))[name] == value:
        return shlex.quote(f"{name}={value}")
    return shlex.quote(f"{name}={_toml(value)}")


def _toml(value: Any) -> str:
    """A value in a line of TOML."""
    if isinstance(value, Mapping):
        cells = (f"{_toml(name)} = {_toml(item)}" for name, item in value.items())
        return f"{{{', '.join(cells)}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_toml, value))}]"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, bool | str) else repr(value)
