"""The study's LLM runs: a small base model, RL with one algorithm, and the law at its audits."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from covlaw.ladder.study.bases import BASES, base_model, measured_start
from covlaw.ladder.study.guard_plan import GRAMIAN_ON_LLM, ON_LLM
from covlaw.ladder.study.plan import StudyRun
from covlaw.ladder.study.rows import Record, failed, measured, settings_of
from covlaw.records.alarms import certified_fall, judge_alarms
from covlaw.records.ends import window
from covlaw.records.ladder import LlmRun, audits, llm_run
from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory._numerics.plugins import parse
from covlaw.theory.estimators.interference import Attainable
from covlaw.toys.study.algorithms import Setting, find_algorithm
from covlaw.toys.study.arms import CLIPS
from covlaw.toys.study.signals import SAMPLED

PRESET, EPOCHS = "cpu-demo", 2
"""Two inner steps a batch, so that clipping has something to clip."""
TUNED = "ctwa-fast"
"""The algorithm that runs with the preset's options of CTWA: 100 times the published step."""
NO_AUDITS = {"audits": 0}
"""Of guarded runs: an audit forecasts a step along the signal, which is not the step they take."""
QUICK = {
    **{"steps": 4, "prompts": 4, "completions": 8, "observed": 4, "audits": 2},
    **{"audit_prompts": 6, "audit_completions": 8, "measured_completions": 8},
}


def llm_row(run: StudyRun, folder: str, quick: bool) -> dict[str, Any]:
    """Carry out, or continue, one LLM run, and measure it.

    Args:
        run: What to run.
        folder: Of the study; the run's own is in it.
        quick: A tiny base model and a few steps.
    """
    from covlaw.llm.train import train

    base = BASES[run.cell]
    out = Path(folder) / "llm" / run.name.replace("/", "_")
    settings = settings_of(run, {"base": base}, QUICK["steps"] if quick else 0)
    try:
        config = _config(run, out, base_model(base, quick), quick)
        settings["steps"] = config.steps
        recorded = llm_run(train(config))
        if recorded is None:
            return failed(settings, "no step was recorded")
        return measured(settings, record_of(recorded))
    except CovlawError as error:
        return failed(settings, str(error))


def record_of(run: LlmRun) -> Record:
    """What a recorded run says of interference and alarms."""
    values = torch.from_numpy(run.by_step("reward_mean"))
    made, none = audits([run]), values[:0]
    changes = [audit.change(name) for name in ("law", "measured") for audit in made]
    parts = [torch.tensor(np.array([c[k] for c in changes])) if made else none for k in (0, 1)]
    (law, change), (law_error, change_error) = (part.tensor_split(2) for part in parts)
    alarms = torch.zeros_like(values, dtype=torch.bool)
    alarms[[audit.step for audit in made]] = certified_fall(law, law_error)
    ends, weights = run.ends, run.steps[-1]["weights"]
    nothing = values[0] * 0.0
    return Record(
        tuple(run.objectives),
        values,
        Attainable(nothing, nothing + 1),
        alarms[:-1],  # at the last step there is no next
        judge_alarms(law, law_error, change, change_error),
        nothing + torch.nan if weights is None else torch.tensor(weights, dtype=torch.float64),
        window(len(values)),
        torch.from_numpy(ends.noise),
    )


def _config(run: StudyRun, out: Path, base: Path, quick: bool) -> Any:
    from covlaw.llm.config.options import chosen
    from covlaw.llm.config.train_config import TrainConfig

    preset = TrainConfig.preset(PRESET)
    start = measured_start(base)
    # completions are as often shorter as longer than the mean, roughly
    values = {"accuracy": start["accuracy"], "clarity": start["clarity"], "conciseness": 0.5}
    setting = Setting(preset.rewards, run.signal, [values[name] for name in preset.rewards])
    algorithm = find_algorithm(run.algorithm)
    options = algorithm.options(setting)
    if algorithm.name == TUNED:
        options |= chosen(preset.options, TUNED)[1]
    low, high, _ = CLIPS[run.clip]
    settings = {**ON_LLM, **GRAMIAN_ON_LLM}[run.guard]
    guarded = settings | ({} if run.guard == "none" else NO_AUDITS)
    return TrainConfig.preset(
        PRESET,
        out=str(out),
        model=str(base),
        scalarizer=f"{algorithm.name}={parse('scalarizer', algorithm.scalarizer).target}",
        options={algorithm.name: options},
        normaliser=SAMPLED[run.signal],
        seed=run.seed,
        epochs=EPOCHS,
        clip_low=low,
        clip_high=high,
        **((QUICK if quick else {}) | guarded),
    )
