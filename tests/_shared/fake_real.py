"""A made-up record of runs on a real model, in the format of `covlaw.records.real`."""

import json
from pathlib import Path
from typing import Any

import numpy as np

NAMES = ("right", "ends", "thorough")
BASE = (0.2, 0.35, 0.7)
CHANGES = {
    "linear": (0.06, 0.1, -0.05),
    "guarded": (0.04, 0.08, 0.01),
    "ctwa-fast": (0.05, 0.05, -0.02),
    "mgda": (0.01, 0.02, 0.0),
}
"""Of the mean over prompts."""
PROMPTS, STEPS = 16, 12


def write_real(folder: Path, seeds: int = 2, methods: tuple[str, ...] = tuple(CHANGES)) -> Path:
    """Write real.json."""
    rng = np.random.default_rng(0)
    base = np.clip(np.array(BASE) + 0.1 * rng.standard_normal((PROMPTS, 3)), 0, 1)
    runs = {f"{m}-seed{s}": run(m, s, base, rng) for s in range(seeds) for m in methods}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "real.json").write_text(json.dumps(record(base, runs)))
    return folder


def record(base: np.ndarray, runs: dict[str, Any]) -> dict[str, Any]:
    cell = {"name": "", "standard_error": 0.02, "low": 0.1, "high": 0.9}
    return {
        "schema": 1,
        "model": "smollm2",
        "command": "python -m covlaw.ladder.real --seeds 2",
        "settings": {"threads": 1},
        "environment": {"python": "3.11", "packages": {"torch": "2.13.0"}},
        "objectives": list(NAMES),
        "sizes": {"prompts": PROMPTS, "completions": 8},
        "base": {
            "means": [cell | {"name": n, "mean": m} for n, m in zip(NAMES, BASE, strict=True)],
            "by_prompt": base.tolist(),
        },
        "law": statistic([0.16, 0.13, -0.04]),
        "runs": runs,
    }


def run(method: str, seed: int, base: np.ndarray, rng: np.random.Generator) -> dict[str, Any]:
    change = np.array(CHANGES[method]) + 0.02 * rng.standard_normal((PROMPTS, 3))
    mean = change.mean(0)
    steps = np.arange(STEPS)[:, None] / STEPS
    cells = {
        name: {"mean": m, "low": m - 0.03, "high": m + 0.03, "n": PROMPTS}
        for name, m in zip(NAMES, mean.tolist(), strict=True)
    }
    shares = np.tile([0.1, 0.0, 0.6], (STEPS, 1)).tolist()
    guard = {"shares": shares, "share": [0.1, 0.0, 0.6], "changed": 0.4,
             "before": [0.01, 0.01, -0.01], "after": [0.01, 0.01, 0.0]}  # fmt: skip
    return {
        "method": method,
        "seed": seed,
        "model_sha256": "0",
        "steps": STEPS,
        "seconds": 100.0,
        "reward_mean": (np.array(BASE) + steps * mean).tolist(),
        "moved": [0.2] * STEPS,
        "audits": [audit(0, mean), audit(STEPS - 1, mean)],
        "guard": guard if method == "guarded" else None,
        "held_out": cells,
        "by_prompt": (base + change).tolist(),
        "exact_change": statistic((0.9 * mean).tolist()) | {"certified": [True, False, False]},
        "log_ratio_rms": 1.2,
    }


def audit(step: int, mean: np.ndarray) -> dict[str, Any]:
    small = statistic((mean / STEPS).tolist())
    return {"step": step, "certified": {"exact_change": [False] * 3}, "n_prompts": 16,
            "n_completions": 128, "law": small | {"scale": 1.0}, "first_order": small,
            "exact_change": small, "measured": small}  # fmt: skip


def statistic(estimate: list[float]) -> dict[str, Any]:
    return {"estimate": estimate, "se": [0.02] * 3,
            "low": [e - 0.04 for e in estimate], "high": [e + 0.04 for e in estimate]}  # fmt: skip
