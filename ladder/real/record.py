"""The record of all finished runs, real.json: written run by run, nothing is judged twice."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from covlaw.ladder.real.command import command_of
from covlaw.ladder.real.course import course
from covlaw.ladder.real.judged import SIZES, Judge, Say, Sizes
from covlaw.ladder.real.settings import METHODS, PRESET, Job
from covlaw.llm.config.train_config import TrainConfig
from covlaw.llm.model.identity import files_digest, model_identity
from covlaw.llm.runs.same_run import BASE_MODEL, is_finished, require_same_inputs
from covlaw.records.files import to_json, write_text, writing_to
from covlaw.records.parsing import read_json
from covlaw.records.real import FILE
from covlaw.records.runs import CONFIG, ENVIRONMENT, read_config
from covlaw.records.schema.files import WHOLE
from covlaw.records.schema.versions import REAL
from covlaw.theory._numerics.errors import CovlawError

DIGITS = 5
"""Significant ones: no error bar of a record is narrower."""
SHARED = (
    *("model", "task", "task_path", "task_options", "system_prompt", "chat_template"),
    *("max_prompt_tokens", "max_tokens", "temperature", "top_k", "top_p", "engine"),
    *("learning_rate", "train_layers", "prompts", "completions", "observed"),
    *("dtype", "sampling_dtype", "share_prompts", "threads", "device"),
)
"""Settings that the record repeats; the base is judged anew where any of them is another."""


def write_record(
    out: Path,
    jobs: Iterable[Job],
    say: Say = print,
    to: Path | None = None,
    *,
    sizes: Sizes = SIZES,
    threads: int = 0,
) -> dict[str, Any]:
    """Judge the finished runs of a folder and write real.json; returns what it holds.

    A run that an earlier record judged, with the model that it still has, is not judged again. The
    file is written after each.

    Args:
        out: Folder of the runs.
        jobs: Which; unfinished ones are left out, and named.
        say: Is told what is being done.
        to: Folder of the file; None: the runs' own.
        sizes: How much is drawn.
        threads: That judge; 0: as many as trained. Last bits depend on their number.

    Raises:
        CovlawError: where none is finished, their folders hold runs that cannot be read, or the
            base is not the one that they were trained from.
    """
    folders = {job: out / job.name for job in jobs}
    finished = {job: folder for job, folder in folders.items() if is_finished(folder)}
    if missing := [job.name for job in folders if job not in finished]:
        say(f"not finished, and left out: {', '.join(missing)}")
    if not finished:
        raise CovlawError(f"{out} holds no finished run: train some first")
    configs = {job: TrainConfig.from_dict(read_config(folder)) for job, folder in finished.items()}
    first = next(iter(configs))
    to, base = to or out, model_identity(configs[first].model)
    for folder in finished.values():
        require_same_inputs(folder, {BASE_MODEL: base})
    used = configs[first].with_options(threads=threads or configs[first].threads)
    judge, known = Judge(used, say, sizes), earlier(to, configs[first], sizes, base)
    record = _head(finished[first], configs, sizes) | (known or {"runs": {}})
    record["base_sha256"] = base
    found: dict[str, Any] = {}
    for job, folder in finished.items():
        digest = files_digest(folder / "model")
        seen = record["runs"].get(job.name)
        if not seen or seen["model_sha256"] != digest:
            say(f"judging {job.name}")
            seen = {"method": job.method, "seed": job.seed, "model_sha256": digest}
            seen |= _rounded(course(folder) | judge.of_run(folder))
            if "base" not in record:
                record |= _rounded(judge.of_base())
        found[job.name] = seen
        with writing_to(to):
            to.mkdir(parents=True, exist_ok=True)
            write_text(to / FILE, to_json(record | {"runs": found}) + "\n")
    return read_json(to / FILE, WHOLE[FILE])


def jobs_in(out: Path) -> list[Job]:
    """The runs that a folder holds, seed by seed, methods in the order of their settings."""
    found = [
        Job(method, int(path.parent.name.removeprefix(f"{method}-seed")))
        for method in METHODS
        for path in out.glob(f"{method}-seed*/{CONFIG}")
    ]
    return sorted(found, key=lambda job: (job.seed, list(METHODS).index(job.method)))


def earlier(to: Path, config: TrainConfig, sizes: Sizes, base: str) -> dict[str, Any] | None:
    """An earlier record's base and runs, where it is of the same base, task, settings and sizes.

    A setting that an older record did not repeat counts as the preset's, a base as this one.
    """
    if not (to / FILE).exists():
        return None
    record = read_json(to / FILE, WHOLE[FILE])
    usual = _settings(TrainConfig.preset(PRESET, model=record["model"]))
    known = usual | record["settings"]
    same = record.get("base_sha256", base) == base
    if not same or (known, record["sizes"]) != (_settings(config), sizes._asdict()):
        return None
    parts = ("objectives", "sizes", "base", "law", "runs")
    return {name: record[name] for name in parts}


def _head(folder: Path, configs: Mapping[Job, TrainConfig], sizes: Sizes) -> dict[str, Any]:
    """What was run, on what: the machine of the first run."""
    config = next(iter(configs.values()))
    environment = read_json(folder / ENVIRONMENT, WHOLE[ENVIRONMENT])
    kept = ("revision", "python", "platform", "processor", "cpu_count", "device", "packages")
    return {
        "schema": REAL,
        "model": Path(config.model).name,
        "command": command_of(configs, sizes),
        "settings": _settings(config),
        "environment": {name: environment.get(name) for name in kept},
    }


def _settings(config: TrainConfig) -> dict[str, Any]:
    return {name: getattr(config, name) for name in SHARED} | {"rewards": list(config.rewards)}


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(item) for item in value]
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value
