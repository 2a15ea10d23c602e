"""One command's work on the stages: what it can do in its time, stage by stage."""

import shlex
import sys
import time
import traceback
from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from covlaw.ladder.gpu.budget import Budget, ended_by_budget
from covlaw.ladder.gpu.record import note_stage, read_stages, refuse_as_result, write_record
from covlaw.ladder.gpu.scale import FULL, TINY, Scale
from covlaw.ladder.gpu.stages import STAGES, WaitsError, Work
from covlaw.llm.model.flops import device_name
from covlaw.theory._numerics.errors import CovlawError, unknown

Stage = Callable[[Work], str]
"""Does its work and says in a few words what it made."""
COMMAND = "python -m covlaw.ladder.gpu"
STATE = "stages.json"
FINISHED, STOPPED, WAITING, FAILED = "finished", "stopped", "waits", "failed"
"""What became of a stage: stopped by the time budget, waiting for an earlier one."""
UNTIMED = ("verdict",)
"""Stages of seconds, done even when time is up: what there is so far gets its verdict."""


def run_stages(
    options: Namespace,
    given: Sequence[str],
    *,
    tiny: Scale = TINY,
    stages: Mapping[str, Stage] = STAGES,
    clock: Callable[[], float] = time.monotonic,
) -> bool:
    """Carry the stages on, record what they made, and tell whether one failed.

    Args:
        options: From the command line.
        given: The command line.
        tiny: What `--tiny` stands for.
        stages: By name, in their order.
        clock: Of the time budget, in seconds.

    Raises:
        CovlawError: without a GPU, unless `--tiny`; for an unknown stage, or a budget that is not
            positive.
    """
    scale = tiny if options.tiny else FULL
    scale = replace(scale, model=options.model) if options.model else scale
    names = options.stages or tuple(stages)
    for name in names:
        if name not in stages:
            raise unknown("stage", name, tuple(stages))
    if not options.minutes > 0:
        raise CovlawError(f"--minutes is {options.minutes:g}: give a positive number")
    _require_device(scale)
    out = options.out or Path("runs") / ("gpu-tiny" if scale.tiny else "gpu")
    to = options.record or out / "record"
    refuse_as_result(scale, to)
    out.mkdir(parents=True, exist_ok=True)
    _say(f"{device_name(scale.device)}, torch {torch.__version__}; {options.minutes:g} minutes")
    work, command = (
        Work(scale, out, Budget(options.minutes, clock)),
        f"{COMMAND} {shlex.join(given)}".strip(),
    )
    ends = [_carry_on(name, stages, work) for name in stages if name in names]
    _say(f"results: {write_record(scale, out, to, command, read_stages(out / STATE))}")
    if STOPPED in ends:
        _say(f"to continue: {command}")
    return FAILED in ends


def _carry_on(name: str, stages: Mapping[str, Stage], work: Work) -> str:
    """Work on one stage; what it ends with is said and noted, and no failure stops the others."""
    label = f"stage {tuple(stages).index(name) + 1} of {len(stages)}, {name}"
    _say(label)
    started = time.monotonic()
    if work.budget.left <= 0 and name not in UNTIMED:
        end, word = STOPPED, "no time is left for it"
    else:
        end, word = _tried(stages[name], work)
    _say(f"{label} {end}: {word}")
    note_stage(work.out / STATE, name, time.monotonic() - started, end, word)
    return end


def _tried(stage: Stage, work: Work) -> tuple[str, str]:
    try:
        return FINISHED, stage(work)
    except WaitsError as error:
        return WAITING, str(error)
    except CovlawError as error:
        return STOPPED if ended_by_budget(error) else FAILED, str(error)
    except Exception as error:  # the other stages may still tell something
        traceback.print_exc()
        return FAILED, f"{type(error).__name__}: {error}"


def _require_device(scale: Scale) -> None:
    if scale.device == "cuda" and not torch.cuda.is_available():
        raise CovlawError(
            f"no GPU: torch {torch.__version__} sees no CUDA device, so nothing was measured. "
            "`make gpu ARGS=--tiny` tries every stage at a tiny size on the CPU"
        )


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
