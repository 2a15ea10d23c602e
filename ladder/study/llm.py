"""The study's LLM runs: a small base model, RL with one algorithm, and the law at its audits."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from covlaw.ladder.study.bases import BASES, base_model, measured_start
from covlaw.ladder.study.plan import StudyRun
from covlaw.ladder.study.rows import Record, failed, measured, settings_of
from covlaw.records.alarms import certified_fall, count_alarms
from covlaw.records.runs import STEPS, read_lines
from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory.estimators.interference import Attainable
from covlaw.toys.study.algorithms import Setting, find_algorithm
from covlaw.toys.study.arms import CLIPS
from covlaw.toys.study.signals import SAMPLED

PRESET, EPOCHS = "cpu-demo", 2
"""Two inner steps a batch, so that clipping has something to clip."""
QUICK = {
    **{"steps": 4, "prompts": 4, "completions": 8, "observed": 4, "audits": 2},
    **{"audit_prompts": 6, "audit_completions": 8, "measured_completions": 8},
}
WINDOW = 0.1
"""Share of the steps averaged at either end."""
CERTAIN = 3.0
"""Standard errors beyond which an audit's forecast is an alarm, and its measured change a fall."""


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
        steps = list(read_lines(train(config) / STEPS))
    except CovlawError as error:
        return failed(settings, str(error))
    return measured(settings, record_of(steps))


def record_of(steps: list[dict[str, Any]]) -> Record:
    """What the lines of steps.jsonl say of interference and alarms."""
    values = _tensor([step["reward_mean"] for step in steps])
    audits = {
        step["step"]: audit
        for step in steps
        for audit in step["audits"]
        if audit["sample"] == "independent"
    }
    alarms = torch.zeros(values.shape[0] - 1, values.shape[1], dtype=torch.bool)
    forecast, change, noise = (list[Tensor]() for _ in range(3))
    for step, audit in audits.items():
        raised = certified_fall(*_pair(audit["law"]), CERTAIN)
        if step < len(alarms):
            alarms[step] = raised
        forecast.append(raised)
        seen, error = _pair(audit["measured"])
        change.append(seen)
        noise.append(CERTAIN * error)
    none = torch.zeros(0, values.shape[1], dtype=torch.float64)
    counts = count_alarms(
        torch.stack(forecast) if forecast else none.bool(),
        torch.stack(change) if change else none,
        torch.stack(noise) if noise else 0.0,
    )
    window = max(1, int(WINDOW * values.shape[0]))
    # where an error is not known, no difference is certain
    errors = _tensor([step["reward_se"] for step in steps[-window:]]).nan_to_num(nan=1.0)
    weights = steps[-1]["weights"]
    zero = torch.zeros(values.shape[1], dtype=torch.float64)
    return Record(
        tuple(steps[0]["objectives"]),
        values,
        Attainable(zero, zero + 1),
        alarms,
        counts,
        zero + torch.nan if weights is None else _tensor(weights),
        window,
        CERTAIN * errors.square().sum(0).sqrt() / window,
    )


def _config(run: StudyRun, out: Path, base: Path, quick: bool) -> Any:
    from covlaw.llm.config.train_config import TrainConfig

    preset = TrainConfig.preset(PRESET)
    start = measured_start(base)
    # completions are as often shorter as longer than the mean, roughly
    values = {"accuracy": start["accuracy"], "clarity": start["clarity"], "conciseness": 0.5}
    setting = Setting(preset.rewards, run.signal, [values[name] for name in preset.rewards])
    algorithm = find_algorithm(run.algorithm)
    options = {**preset.options.get(algorithm.name, {}), **algorithm.options(setting)}
    low, high, _ = CLIPS[run.clip]
    return TrainConfig.preset(
        PRESET,
        out=str(out),
        model=str(base),
        scalarizer=algorithm.scalarizer,
        options={algorithm.scalarizer: options},
        normaliser=SAMPLED[run.signal],
        seed=run.seed,
        epochs=EPOCHS,
        clip_low=low,
        clip_high=high,
        **(QUICK if quick else {}),
    )


def _pair(statistic: dict[str, Any]) -> tuple[Tensor, Tensor]:
    return _tensor(statistic["estimate"]), _tensor(statistic["se"])


def _tensor(values: Any) -> Tensor:
    """Numbers as float64; null is NaN."""
    return torch.as_tensor(_with_nan(values), dtype=torch.float64)


def _with_nan(values: Any) -> Any:
    if isinstance(values, list):
        return [_with_nan(value) for value in values]
    return float("nan") if values is None else values
