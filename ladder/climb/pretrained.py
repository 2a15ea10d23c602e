"""The rung `pretrained`: two short audited runs of a pretrained chat model, where asked for.

Minutes instead of seconds, and a model of 93 MB that is fetched once: it is no part of a ladder
that does not name it. Audits are light, small, and few, so that most statements about samples are
inconclusive there, not held: their false variants are not refuted either.
"""

from collections.abc import Mapping
from typing import Any

from covlaw.ladder.climb.plan import PRETRAINED, QUICK_TRAINING, Job, Settings

RUNG = "pretrained"
SHOWN = ("linear", "guarded")
"""Methods of `make real` that are trained."""
SHORT: Mapping[str, Any] = {"steps": 4, "audits": 2, "evaluate_every": 0, "threads": 1}
COST = 300.0
"""Rough seconds of a run on one core."""


def base_jobs(settings: Settings) -> list[Job]:
    """What the runs wait for: the model, fetched and converted where it is not yet."""
    if RUNG not in settings.rungs:
        return []
    return [Job("base", "pretrained model", (settings.pretrained,), 60.0)]


def pretrained_jobs(settings: Settings, out: str) -> list[Job]:
    """The runs, guarded or not."""
    if RUNG not in settings.rungs:
        return []
    from covlaw.ladder.real.settings import METHODS, PRESET  # with all settings of a run

    quick = QUICK_TRAINING | {"steps": 2, "audits": 1} if settings.quick else {}
    jobs = []
    for method in SHOWN:
        run = {"out": f"{out}/{RUNG}/{method}", "model": settings.pretrained, "seed": settings.seed}
        # how many layers another model has is not known here
        whole = {} if settings.pretrained == PRETRAINED else {"train_layers": 0}
        changes = {**SHORT, **quick, **METHODS[method], **whole, **run}
        jobs.append(Job("train", f"{RUNG}/{method}", (PRESET, changes), COST))
    return jobs
