"""Small made-up runs in the format of DESIGN (Records), for tests of whatever reads records."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from covlaw.toys.measurements import measure

OBJECTIVES = ("accuracy", "conciseness", "clarity")
FINAL = {"linear": (0.98, 1.0, 0.0), "ctwa": (0.6, 0.8, 0.85)}
START = (0.48, 0.5, 0.44)
TERMS = ("f0", "kernel", "clipping", "sampling", "optimiser", "logit", "tilt")


def write_ladder(folder: Path, objectives: tuple[str, ...] = OBJECTIVES, seeds: int = 3) -> Path:
    """Write a finished ladder folder: verdicts, budgets and RL runs."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "verdicts.json").write_text(json.dumps(verdicts()))
    (folder / "config.toml").write_text('kind = "ladder"\nseed = 0\n')
    (folder / "environment.json").write_text(json.dumps({"python": "3.11", "packages": {}}))
    lines(folder / "budgets.jsonl", budgets(objectives))
    lines(folder / "geometry.jsonl", geometry())
    lines(folder / "group_size.jsonl", group_size())
    lines(folder / "certificates.jsonl", certificates())
    lines(folder / "calibration.jsonl", calibration())
    lines(folder / "ctwa.jsonl", quick("ctwa"))
    lines(folder / "convergence.jsonl", quick("convergence"))
    lines(folder / "clipping.jsonl", clipping())
    lines(folder / "remainder.jsonl", remainder())
    lines(folder / "look_ahead.jsonl", look_ahead())
    for scalarizer in FINAL:
        for seed in range(seeds):
            write_llm_run(folder / "llm" / f"{scalarizer}-seed{seed}", scalarizer, seed, objectives)
    return folder


def write_study(folder: Path, worlds: tuple[str, ...] = ("bandit", "tabular", "all")) -> Path:
    """Write a finished study's folder: what was found, without its rows."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.toml").write_text('kind = "study"\nseed = 0\n')
    (folder / "environment.json").write_text(json.dumps({"python": "3.11", "packages": {}}))
    shares = {"linear": 0.7, "mgda": 0.1, "mgda-ref": 0.3, "ctwa": 0.5}

    def interval(mean: float, n: int = 100) -> dict[str, float]:
        return {"mean": mean, "low": mean - 0.04, "high": mean + 0.04, "n": n}

    table = [
        {
            "algorithm": name, "world": world, "runs": 100, "stopped": 0,
            "sacrifices": interval(share), "worst_regression": interval(share / 2),
            "hypervolume": interval(0.2 - share / 10), "hypervolume_start": interval(0.1),
            "hypervolume_lost": interval(0.0), "dominated_earlier": interval(0.0),
            "dominated_by_another": interval(0.0), "alarms": 10, "falls": 20, "precision": 0.9,
            "recall": 0.45, "recall_by_size": 0.8, "lead_time": 2.0,
            "worst_objective": {"objective": "clarity", "share": share},
        }
        for name, share in shares.items()
        for world in worlds
    ]  # fmt: skip
    price = [
        {
            "scalarizer": "mgda", "world": world, "pairs": 100, "sacrifices": interval(0.2),
            "worst_regression": interval(0.1), "hypervolume": interval(-0.02),
        }
        for world in worlds
    ]  # fmt: skip
    summary = {
        "schema": 1, "covlaw": "0.1.0", "kind": "study", "worlds": list(worlds[:-1]),
        "scalarizers": list(shares), "signals": ["grpo"], "seeds": 0, "seed": 0, "quick": False,
        "full": False, "omitted": ["world llm"], "threshold": 0.1, "runs": 800, "table": table,
        "price": price, "factors": [], "lines": [], "errors": [],
    }  # fmt: skip
    (folder / "summary.json").write_text(json.dumps(summary))
    return folder


def write_llm_run(
    folder: Path,
    scalarizer: str = "linear",
    seed: int = 0,
    objectives: tuple[str, ...] = OBJECTIVES,
    steps: int = 20,
) -> Path:
    """Write one RL run's folder."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng([seed, len(scalarizer)])
    (folder / "config.toml").write_text(f'scalarizer = "{scalarizer}"\nseed = {seed}\n')
    (folder / "environment.json").write_text(json.dumps({"python": "3.11", "packages": {}}))
    lines(
        folder / "steps.jsonl",
        [step(rng, scalarizer, seed, objectives, t, steps) for t in range(steps)],
    )
    lines(folder / "samples.jsonl", [samples(objectives, t) for t in (0, steps - 1)])
    return folder


def samples(
    objectives: tuple[str, ...], t: int, prompt: str = "2 + 2 = ?", completion: str = r"\boxed{4}"
) -> dict[str, Any]:
    one = {
        "prompt": prompt, "completion": completion, "rewards": dict.fromkeys(objectives, 1.0),
        "advantage": -0.25, "length": 5,
    }  # fmt: skip
    return {"schema": 1, "step": t, "samples": [one, one]}


def step(
    rng: np.random.Generator,
    scalarizer: str,
    seed: int,
    objectives: tuple[str, ...],
    t: int,
    of: int,
) -> dict[str, Any]:
    progress = t / max(of - 1, 1)
    mean = np.array(START) + progress * (np.array(FINAL[scalarizer]) - START)
    mean = np.clip(mean + 0.02 * rng.normal(size=3), 0, 1)
    return {
        "schema": 1, "step": t, "seed": seed, "scalarizer": scalarizer,
        "objectives": list(objectives), "reward_mean": mean.tolist(), "reward_se": [0.02] * 3,
        "weights": [1 / 3] * 3, "length_mean": 20.0, "clip_fraction_low": 0.0,
        "clip_fraction_high": 0.0, "kl_reference": None, "grad_norm": 1.0,
        "engine_log_prob_gap": 1e-6, "tokens": 5000,
        "audits": [audit(rng, s) for s in ("independent", "same")] if t % 5 == 0 else [],
    }  # fmt: skip


def audit(rng: np.random.Generator, sample: str) -> dict[str, Any]:
    change = np.array([0.02, 0.02, -0.01]) + 0.01 * rng.normal(size=3)
    flattery = 2.5 if sample == "same" else 1.0

    def estimate(value: np.ndarray, se: float) -> dict[str, Any]:
        return {"estimate": (value + se * rng.normal(size=3)).tolist(), "se": [se] * 3}

    return {
        "n_prompts": 32, "n_completions": 1024, "sample": sample,
        "law": estimate(10 * flattery * change, 0.03) | {"scale": 0.1},
        "clipped": estimate(20 * flattery * change, 0.06) | {"scale": 0.05},
        "clipped_centred": estimate(10 * flattery * change, 0.03) | {"scale": 0.1},
        "first_order": estimate(flattery * change, 0.003),
        "exact_change": estimate(flattery * change, 0.003),
        "measured": estimate(change, 0.008),
        "budget": {name: (0.002 * rng.normal(size=3)).tolist() for name in TERMS},
        "short": {name: [0.01] * 3 for name in ("law", "direction", "logit", "tilt", "bound")},
    }  # fmt: skip


def budgets(objectives: tuple[str, ...] = OBJECTIVES) -> list[dict[str, Any]]:
    rng = np.random.default_rng(0)
    records = []
    for optimiser in ("SGD", "AdamW", "natural gradient"):
        for rate in (0.001, 0.01, 0.1):
            for objective in objectives:
                terms = dict(zip(TERMS, (rate * rng.normal(size=7)).tolist(), strict=True))
                short = dict.fromkeys(("law", "direction", "logit", "tilt", "bound"), 0.1)
                records.append({
                    "optimiser": optimiser, "learning_rate": rate, "objective": objective,
                    "terms": terms, "short": short | {"certified": bool(rng.integers(2))},
                    "realised": sum(terms.values()), "note": "",
                })  # fmt: skip
    return records


@cache
def quick(name: str) -> list[dict[str, Any]]:
    """A cheap measurement's own records."""
    return measure(name, 0, quick=True)


def geometry() -> list[dict[str, Any]]:
    rng = np.random.default_rng(0)

    def shares() -> dict[str, float]:
        names = ("disagree", "predicted", "certified", "certified_by_score", "certified_wrong")
        return dict(zip(names, (0.5 * rng.random(5)).tolist(), strict=True))

    return [
        {
            "architecture": architecture, "width": width, "parameters": 1000, "completions": 242,
            "k_min": 1e-9, "k_max": 10.0, "kappa": 1e10, "threshold": 1.0, "by_spectrum": 0.4,
            "spectrum": np.geomspace(1e-10, 1, 33).tolist(),
            "tables": shares(), "modes": shares(), "mixtures": shares(), "objectives": shares(),
            "by_family": {"tables": 0.3, "modes": 0.4, "mixtures": 0.1},
        }
        for architecture in ("qwen2", "llama", "gpt2") for width in (8, 16)
    ]  # fmt: skip


def look_ahead() -> list[dict[str, Any]]:
    head = {"optimiser": "sgd-1", "cell": 0, "seed": 0, "kl": 0.5, "gain": 0.09, "gain_ahead": 0.1}
    ends = {"change": [0.4, -0.3], "ahead": [0.5, -0.1], "law": [0.3, 0.1]}
    runs = [
        head | ends | {"world": world, "algorithm": algorithm, "guard": "none", "room": room}
        for world in ("bandit_natural", "transformer")
        for algorithm, room in (("linear", 0.02), ("ctwa-guided", 0.001))
    ]
    course = [[0.5, 0.5], [0.9, 0.2]]
    path = {"path": True, "objectives": ["one", "two"], "run_kl": [0.0, 0.5], "run": course}
    path |= {"frontier_kl": [0.0, 0.5], "frontier": course, "world": "transformer", "seed": 0}
    arms = [{"algorithm": "linear", "guard": guard} for guard in ("none", "guard")]
    return [*runs, *(path | arm for arm in arms)]


def clipping() -> list[dict[str, Any]]:
    rng = np.random.default_rng(0)
    cells = [
        {
            "kind": "random", "seed": 0, "drift": drift, "clip": 0.2, "correlation": correlation,
            "n": 20, "clipped": 15, "certified": 12, "turned": 4, "turned_certified": 0,
            "outside": 0, "step_turned": 5, "points": (4 * rng.random((6, 2)) - 0.5).tolist(),
        }
        for drift in (0.7071, 2.0, 8.0) for correlation in (0.1, 0.9)
    ]  # fmt: skip
    found = {"kind": "search", "niche": "first turn", "x": 1.001, "y": -0.001}
    return [*cells, found]


def group_size(promise: float = 8.0) -> list[dict[str, Any]]:
    """At K = 4 an own batch promises 1 + promise/4 of a change, at K = 64 1 + promise/64."""
    fair = {"mean": 0.1, "se": 0.001, "ratio": 1.0, "ratio_se": 0.01}
    return [
        {
            "learning_rate": rate, "group_size": size, "objective": objective, "batches": 10,
            "predicted": 1 + promise / size, "realised": {"mean": 0.1, "se": 0.001},
            "same": fair | {"ratio": 1 + promise / size}, "independent": fair,
            "leave_one_out": fair if size > 2 else None,
        }
        for rate in (0.1, 1.0) for size in (2, 4, 64) for objective in (*OBJECTIVES, "score")
    ]  # fmt: skip


def certificates(wrong: int = 1, plain: int = 360) -> list[dict[str, Any]]:
    """Of 1000 batches `wrong` certify a wrong sign; 3 standard errors do in `plain`."""
    return [
        {
            "quantity": quantity, "family": family, "reward": "reward", "truth": truth,
            "prompts": prompts, "completions": 16, "n": 1000,
            "certified": None if quantity == "measured" else 10,
            "wrong": None if quantity == "measured" else wrong, "plain_wrong": plain,
            "covered": 960, "unbounded": 5, "plain_covered": 600, "width": 0.1,
        }
        for quantity, family in zip(("exact_change", "law", "measured"), "abc", strict=True)
        for truth in (0.0, 0.003) for prompts in (4, 64)
    ]  # fmt: skip


def calibration(law: float = 1.5) -> list[dict[str, Any]]:
    """Forecasts in proportion to what happens: the law `law` times, the exact form once."""
    rng = np.random.default_rng(0)
    records = []
    for rung in ("bandit", "transformer"):
        for k in range(8):
            change = 0.05 * rng.normal(size=3)
            scales = {"law": law, "clipped": 0.5, "first_order": 1.1, "exact_change": 1.0}
            forecasts = {
                name: {
                    "exact": (x * change).tolist(),
                    "estimate": (x * change).tolist(),
                    "se": [0.01] * 3,
                }
                for name, x in scales.items()
            }
            records.append({
                "rung": rung, "update": k, "optimiser": "SGD", "learning_rate": 0.1,
                "objectives": list(OBJECTIVES), "realised": change.tolist(), **forecasts,
            })  # fmt: skip
    return records


def remainder() -> list[dict[str, Any]]:
    quantiles = {"0.05": 0.01, "0.5": 0.2, "0.95": 0.6, "1.0": 0.9}
    records: list[dict[str, Any]] = []
    for prompts, bound in ((1, 32.0), (3, 20.785)):
        head = {"seed": 0, "prompts": prompts, "n": 50}
        records += [
            head | {"kind": "random remainder", "reach": reach, "quantiles": quantiles, "over": 0}
            for reach in (0.01, 1.0)
        ]
        records.append(
            head
            | {"kind": "random turn", "bound": bound, "turned": 7, "below": 0}
            | {"earliest": 3 * bound, "points": [[1.0, 3 * bound], [9.0, 200.0]]}
        )
    records += [
        {"kind": "search", "what": what, "reach": 0.1, "of_bound": 0.95, "constant": 1.5 * bound}
        for what, bound in (
            ("remainder", 32.0), ("turn of one prompt", 32.0), ("turn of several prompts", 20.785)
        )
    ]  # fmt: skip
    return [*records, {"kind": "extremal", "reach": 0.1, "up": 0.9, "down": 0.92}]


def verdict(id: str, rung: str, status: str, **fields: Any) -> dict[str, Any]:
    base = {
        "id": id, "rung": rung, "kind": "identity", "status": status, "measured": 0.1,
        "predicted": 0.1, "slack": 1e-16, "tolerance": 1e-15, "violations": 0, "n": 200,
        "tightness": None, "negative_control": {"name": "K instead of K − 1", "refuted": True},
        "note": "",
    }  # fmt: skip
    return base | fields


def verdicts(**fields: Any) -> dict[str, Any]:
    rungs = ("theory", "bandit", "tabular", "transformer", "llm")
    some = [
        verdict(id, rung, "not_applicable" if id == "T12" and rung == "llm" else "holds")
        for id in ("T1", "T2", "T8", "T12", "F1")
        for rung in rungs
    ]
    some[3]["status"] = "inconclusive"
    for found in some:
        sampled = "estimator" if found["id"] == "T2" else "sampled"
        found["judged"] = sampled if found["rung"] == "llm" else "exact"
    base = {"schema": 1, "covlaw": "0.1.0", "seed": 0, "quick": False, "omitted": []}
    return base | {"verdicts": some} | fields


def lines(path: Path, records: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records))
