"""The fields of every file of a run, a ladder and a study (docs/reproduce.md says who writes them).

A field that readers need is required; one that only some versions or settings write is optional,
and checked where it is there. Fields that are not named here are left alone.
"""

from collections.abc import Mapping

from covlaw.records.constants import BUDGET_TERMS
from covlaw.records.schema.kinds import (
    Kind,
    anything,
    count,
    exactly,
    listed,
    mapped,
    maybe,
    names,
    number,
    table,
    text,
    truth,
    vector,
)
from covlaw.records.schema.versions import REAL, RUN, STUDIES_READ

STATISTIC = table({"estimate": vector, "se": vector}, {"scale": number})
AUDIT = table(
    {
        "sample": exactly("independent", "same"),
        "law": STATISTIC,
        "clipped": STATISTIC,
        "clipped_centred": STATISTIC,
        "first_order": STATISTIC,
        "exact_change": STATISTIC,
        "measured": STATISTIC,
    },
    {
        "n_prompts": count,
        "n_completions": count,
        "scale": number,
        "law_by_sum": STATISTIC,
        "penalty": STATISTIC,
        "kl_objective": STATISTIC,
        "engine": table({"target": STATISTIC, "truncated": STATISTIC, "bound": vector}),
        "held_out": STATISTIC,
        "budget": table(dict.fromkeys(BUDGET_TERMS, vector)),
        "tails": table({"heavy": truth}),
    },
)
MEASURED = table({"estimate": vector, "se": vector})
GUARD = table(
    {"floor": vector, "weights": vector, "factor": number, "refused": text},
    {
        "before": maybe(vector),
        "after": maybe(vector),
        "length": number,
        "changed": number,
        "rounds": count,
        "passed": maybe(truth),
        "gain": maybe(table({"estimate": number, "se": number})),
        "forecast": maybe(MEASURED),
        "change_before": maybe(MEASURED),
        "change_after": maybe(MEASURED),
        "notes": listed(text),
    },
)
STEP = table(
    {
        "schema": exactly(RUN),
        "step": count,
        "seed": count,
        "scalarizer": text,
        "objectives": names,
        "reward_mean": vector,
        "reward_se": vector,
        "weights": maybe(vector),
        "audits": listed(AUDIT),
    },
    {
        "length_mean": number,
        "clip_fraction_low": number,
        "clip_fraction_high": number,
        "kl_reference": number,
        "entropy": number,
        "grad_norm": number,
        "engine_log_prob_gap": number,
        "engine_log_prob_rms": number,
        "moved": mapped(number),
        "no_opinion": mapped(mapped(count)),
        "tokens": count,
        "answers_cut": count,
        "dead_groups": mapped(number),
        "truncated": mapped(number),
        "dynamic_sampling": mapped(count),
        "engine_gap": mapped(number),
        "guard": GUARD,
    },
)
SAMPLE = table(
    {
        "prompt": text,
        "completion": text,
        "rewards": mapped(number),
        "advantage": number,
        "length": count,
    }
)
SAMPLES = table({"schema": exactly(RUN), "step": count, "samples": listed(SAMPLE)})
EVALUATION = table(
    {"step": count, "split": text, "objectives": names, "reward_mean": vector, "reward_se": vector},
    {"n_prompts": count, "n_completions": count, "length_mean": number},
)
TIMING = table({"step": count, "seconds": number}, {"guard_seconds": number})

CONTROL = table({"name": text, "refuted": truth})
VERDICT = table(
    {
        **dict.fromkeys(("id", "rung", "kind", "status", "note"), text),
        **dict.fromkeys(("measured", "predicted", "slack", "tolerance", "tightness"), number),
        "violations": count,
        "n": count,
        "negative_control": maybe(CONTROL),
    },
    {"judged": exactly("exact", "sampled", "estimator")},
)
VERDICTS = table(
    {
        "schema": exactly(RUN),
        "covlaw": text,
        "seed": count,
        "quick": truth,
        "omitted": listed(text),
        "verdicts": listed(VERDICT),
    }
)

INTERVAL = table({"mean": number, "low": number, "high": number, "n": count})
CELL = table(
    {
        "algorithm": text,
        "world": text,
        "runs": count,
        "sacrifices": maybe(INTERVAL),
        "hypervolume": maybe(INTERVAL),
        "hypervolume_start": maybe(INTERVAL),
    }
)
PRICE = table(
    {
        "scalarizer": text,
        "world": text,
        "pairs": count,
        "sacrifices": maybe(INTERVAL),
        "hypervolume": maybe(INTERVAL),
    }
)
GUARDED = table({"world": text, "algorithm": text, "guard": text, "samples": count, "at": anything})
SUMMARY = table(
    {
        "schema": exactly(*STUDIES_READ),
        "threshold": number,
        "runs": count,
        "seed": count,
        "worlds": listed(text),
        "table": listed(CELL),
        "price": listed(PRICE),
        "errors": listed(anything),
    },
    {"guards": listed(GUARDED)},
)
CONFIG = table(
    {},
    {"kind": text, "seed": count, "steps": count, "scalarizer": text, "reward_worst": anything},
)
ENVIRONMENT = table(
    {}, {"packages": mapped(text), "command": text, "python": text, "inputs": mapped(text)}
)

PROMPTS = listed(vector)
"""(P, M) a mean reward a prompt and objective."""
REAL_RUN = table(
    {
        "method": text,
        "seed": count,
        "steps": count,
        "reward_mean": PROMPTS,
        "held_out": mapped(INTERVAL),
        "by_prompt": PROMPTS,
        "exact_change": STATISTIC,
        "log_ratio_rms": number,
        "audits": listed(table({"step": count, "certified": anything}, {"measured": STATISTIC})),
        "guard": maybe(table({"shares": PROMPTS, "share": vector, "changed": number})),
    },
    {"model_sha256": text, "seconds": number, "moved": listed(number)},
)
REAL_RUNS = table(
    {
        "schema": exactly(REAL),
        "model": text,
        "command": text,
        "settings": anything,
        "environment": ENVIRONMENT,
        "objectives": names,
        "sizes": table({"prompts": count, "completions": count}),
        "base": table({"means": listed(anything), "by_prompt": PROMPTS}),
        "law": STATISTIC,
        "runs": mapped(REAL_RUN),
    },
    {"base_sha256": text},
)

LINES: Mapping[str, Kind] = {
    "steps.jsonl": STEP,
    "samples.jsonl": SAMPLES,
    "evaluations.jsonl": EVALUATION,
    "timing.jsonl": TIMING,
}
"""Files of a line a step; a measurement's lines are objects whose fields its figure knows."""
WHOLE: Mapping[str, Kind] = {
    "verdicts.json": VERDICTS,
    "summary.json": SUMMARY,
    "environment.json": ENVIRONMENT,
    "config.toml": CONFIG,
    "real.json": REAL_RUNS,
}
