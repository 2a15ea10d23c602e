"""Whether a folder holds a run, looked up under its lock; and what it was made of."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import tomli_w

from covlaw.llm.config.train_config import TrainConfig
from covlaw.llm.loop.validation import SPLIT
from covlaw.llm.model.adapters import FILE
from covlaw.llm.model.identity import model_identity
from covlaw.llm.sampling.prompts import load_split
from covlaw.records import runs as records
from covlaw.records.lock import alone_in
from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory._numerics.plugins import parse

UNRECORDED = ("out", "checkpoint_every", "keep_checkpoints", "tensorboard", "rank_seconds")
"""Settings that no record depends on: a run may be continued with others."""
BASE_MODEL = "base model"
"""Of a run's inputs, the model that it trains."""
GROWING = ("steps", "data_epochs")
"""Settings that may be greater than they were: the run then goes on."""


class Claim(NamedTuple):
    """What a folder holds of this run."""

    known: bool = False
    """Whether it was begun."""
    finished: bool = False


@contextmanager
def claimed(folder: Path, config: TrainConfig) -> Iterator[Claim]:
    """Hold a folder for a run, and say what is there; a finished run needs no holding.

    Raises:
        CovlawError: if the folder holds another run or other files, is in use, or cannot be
            written.
    """
    if holds(folder, config) and is_finished(folder) and not _has_grown(folder, config):
        yield Claim(known=True, finished=True)
        return
    with alone_in(folder):
        known = holds(folder, config)  # while this process waited for nothing, another may have
        if known and _has_grown(folder, config):
            _extend(folder, config)
        yield Claim(known, known and is_finished(folder))


def holds(folder: Path, config: TrainConfig) -> bool:
    """Whether a folder holds this run, or a shorter one of the same settings.

    Raises:
        CovlawError: as `records.runs.holds_run`.
    """
    return records.holds_run(folder, config.to_dict(), lambda found: up_to_date(found, config))


def is_finished(folder: Path) -> bool:
    """Whether the run's model is there; it is written whole, and an empty folder is none."""
    return any((folder / "model" / name).is_file() for name in ("config.json", FILE))


def up_to_date(found: dict[str, Any], config: TrainConfig) -> dict[str, Any]:
    """A recorded config with the settings that it is too old to have, at their defaults.

    What may differ is the config's own: settings that no record depends on, and a greater number
    of steps or of passes over the data.
    """
    try:
        recorded = TrainConfig.from_dict(found)
    except CovlawError as error:
        raise CovlawError(
            f"{config.out} holds a run that this version cannot continue ({error}): choose "
            "another folder, or the version that began it"
        ) from error
    own = {name: getattr(config, name) for name in UNRECORDED}
    for name in GROWING:
        if 0 < getattr(recorded, name) < getattr(config, name):
            own[name] = getattr(config, name)
    return recorded.to_dict() | own


def of_checkpoints(config: TrainConfig) -> dict[str, Any]:
    """Settings that a checkpoint names: those of the run, without its length and its device."""
    apart = (*UNRECORDED, *GROWING, "device")
    plain: dict[str, Any] = json.loads(json.dumps(config.to_dict()))
    return {name: value for name, value in plain.items() if name not in apart}


def inputs_of(config: TrainConfig) -> dict[str, str]:
    """SHA-256 of what a run reads and its settings only name: data, model, and code from outside.

    Of a model from a hub nothing is known before it is loaded.

    Raises:
        CovlawError: if data or model cannot be read.
    """
    found = {"train data": _digest_of_split(config, "train")}
    if base := model_identity(config.model):
        found[BASE_MODEL] = base
    if config.evaluate_every or (config.audits and config.audit_held_out):
        found[f"{SPLIT} data"] = _digest_of_split(config, SPLIT)
    named = [("reward", entry) for entry in config.rewards]
    for what, entry in (*named, ("scalarizer", config.scalarizer), ("loss", config.loss)):
        spec = parse(what, entry)
        file = Path(spec.place).expanduser()
        if spec.own and file.suffix == ".py" and file.is_file():
            found[f"{what} {spec.name}"] = hashlib.sha256(file.read_bytes()).hexdigest()
    return found


def require_same_inputs(folder: Path, inputs: Mapping[str, str]) -> None:
    """Refuse to continue a run on other data, or with other code, than it began with.

    Raises:
        CovlawError: naming what has changed.
    """
    recorded = records.recorded_inputs(folder)
    changed = [name for name, digest in inputs.items() if recorded.get(name, digest) != digest]
    if changed:
        raise CovlawError(
            f"{' and '.join(changed)} changed since the run in {folder} began: restore what it "
            "was, or choose another folder"
        )


def _digest_of_split(config: TrainConfig, split: str) -> str:
    digest = hashlib.sha256()
    for problem in load_split(config, split):
        digest.update(json.dumps([problem.prompt, problem.reference]).encode())
    return digest.hexdigest()


def _has_grown(folder: Path, config: TrainConfig) -> bool:
    found = records.read_config(folder)
    return any(found.get(name, getattr(config, name)) < getattr(config, name) for name in GROWING)


def _extend(folder: Path, config: TrainConfig) -> None:
    """Make a shorter run this one: its model is of fewer steps, its newest checkpoint stays."""
    from covlaw.llm.runs.whole_folder import remove

    remove(folder / "model")
    grown = records.read_config(folder) | {name: getattr(config, name) for name in GROWING}
    with records.writing_to(folder):
        records.write_text(folder / records.CONFIG, tomli_w.dumps(grown))
