"""The plan of a run in words, for `covlaw llm train --dry-run`."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from covlaw.llm.plan.memory import Memory
    from covlaw.llm.plan.train_plan import Plan

_SHOWN_STEPS = 8


def plan_rows(plan: "Plan") -> Iterator[tuple[str, str]]:
    """Yield (what, how much) of everything that the plan tells."""
    config, work = plan.config, plan.work
    yield "run", f"{config.out} ({'continues what is there' if plan.continues else 'new'})"
    yield "model", f"{config.model}{_size(plan)}, on {config.device}, engine {config.engine}"
    if config.lora:
        yield "adapters", _adapters(plan)
    yield "task", f"{config.task}: {plan.problems:,} training prompts"
    yield "rewards", ", ".join(config.objectives)
    yield "scalarizer", f"{config.scalarizer_name} {_options(plan)}".rstrip()
    yield "steps", f"{plan.steps:,}{_passes(plan)}, {config.epochs} optimiser pass(es) each"
    yield (
        "a step",
        f"{config.prompts} prompts, {work.completions:,} completions, at most "
        f"{work.step_tokens:,} tokens",
    )
    yield "tokens", f"at most {work.tokens:,} sampled in all steps"
    if config.guard_settings:
        yield "guard", _guard(plan)
    yield "audits", _audits(plan)
    if work.evaluations:
        yield "evaluations", f"{work.evaluations} on the val split"
    yield "memory", f"{_memory(plan.memory)}; micro_batch {config.micro_batch}"


def _size(plan: "Plan") -> str:
    if plan.size is None:
        return " (size unknown)"
    return f" ({amount(plan.size.parameters)} parameters, from {plan.size.source})"


def _adapters(plan: "Plan") -> str:
    lora, trained = plan.config.lora, plan.trained
    count = f"about {amount(trained)} parameters trained" if trained else "number unknown"
    return f"rank {lora['rank']} on {', '.join(lora['targets'])}, {count}"


def _options(plan: "Plan") -> str:
    options = plan.config.options[plan.config.scalarizer_name]
    return ", ".join(f"{name} {value}" for name, value in options.items())


def _passes(plan: "Plan") -> str:
    passes = plan.config.data_epochs
    return f" ({passes} passes over the prompts)" if passes else ""


def _guard(plan: "Plan") -> str:
    config, settings = plan.config, plan.config.guard_settings
    assert settings  # noqa: S101  # asked before
    times = 1 / (1 - plan.work.guard_share)
    often = f"every {settings.every} steps" if settings.every > 1 else "every step"
    when = "where a certain fall is seen" if config.guard == "needed" else often
    return (
        f"{settings.floors} floors, {when}; {settings.rows} completions a prompt choose and "
        f"{settings.check} judge; a step that it corrects costs at most {times:.1f} times as much"
    )


def _audits(plan: "Plan") -> str:
    if not plan.audits:
        return "none"
    shown = ", ".join(map(str, plan.audits[:_SHOWN_STEPS]))
    more = ", …" if len(plan.audits) > _SHOWN_STEPS else ""
    return (
        f"{len(plan.audits)}, at steps {shown}{more}; each samples at most "
        f"{plan.work.audit_tokens:,} tokens; about {plan.work.audit_share:.0%} of the run's work"
    )


def _memory(memory: "Memory | None") -> str:
    if memory is None:
        return "unknown: the model's configuration is not here, and its name tells no size"
    parts = memory._asdict().items()
    known = [f"{name} {gibibytes(value)}" for name, value in parts if value]
    unknown = [name for name, value in parts if value is None]
    more = f"; unknown without the model's configuration: {', '.join(unknown)}" if unknown else ""
    return f"about {gibibytes(memory.known)} or more: {', '.join(known)}{more}"


def amount(count: int) -> str:
    """A count in thousands, millions or billions, three digits."""
    for size, letter in ((10**9, "B"), (10**6, "M"), (10**3, "k")):
        if count >= size:
            return f"{count / size:.3g}{letter}"
    return str(count)


def gibibytes(count: int) -> str:
    """Bytes in MiB or GiB."""
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.1f} MiB"
