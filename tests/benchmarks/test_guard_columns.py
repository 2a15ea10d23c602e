"""Crossed Gramians column by column in forward mode: one gradient in memory, at what time.

X_jk = ⟨ĝ_j^B, P ĝ_k^A⟩ = Cov_B(r_j, ⟨∇log π, P ĝ_k^A⟩): a gradient of half A, then one forward-mode
pass along it on half B, which serves every objective j. Against all gradients of both halves at
once, as the guard has them. CPU time on one thread, on the demo's base and prompts.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from covlaw.llm.config.train_config import TrainConfig
from covlaw.llm.guard.gradients import objective_gradients
from covlaw.llm.loop.trainer import Trainer
from covlaw.llm.model.log_prob import directional_log_prob
from covlaw.llm.model.parameters import count_of, trainable
from covlaw.llm.sampling.rollout import SampledRollouts
from covlaw.theory.estimators.covariance import within_prompt_covariance
from covlaw.theory.guard import crossed_products, optimiser_metric

pytestmark = pytest.mark.benchmark

ROWS, ROUNDS = 8, 3
CLOSE = 1e-3  # float32 sums of a hundred tokens' terms, both ways


def one(drawn: SampledRollouts, j: int) -> SampledRollouts:
    """A single objective's rewards."""
    raw = drawn.raw[:, j : j + 1]
    return SampledRollouts.of(drawn.completions, raw, (drawn.names[j],))


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    start = time.process_time()
    found = work()
    return time.process_time() - start, found


def test_columns_in_forward_mode_are_the_crossed_gramian_and_take_longer(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    guard = {"guard": "on", "guard_options": {"rows": ROWS, "check": 0, "crossed": True}}
    config = TrainConfig.preset("cpu-demo", out=str(tmp_path), audits=0, **guard)
    trainer = Trainer(replace(config, steps=2))
    states, _ = trainer.step(0, trainer.fresh())
    drawn, _ = trainer._draw(1, states)
    rows = trainer._split(1, drawn).guard
    assert rows is not None
    model, parameters = trainer.model, trainable(trainer.model)
    metric = optimiser_metric(trainer.optimizer, parameters.values()).values
    halves = rows.parted(ROWS // 2)

    def at_once() -> Tensor:
        first, second = (objective_gradients(model, half, config) for half in halves)
        return crossed_products(first, second, metric)

    def along(half: SampledRollouts, direction: Tensor) -> Tensor:
        sizes = [p.numel() for p in parameters.values()]
        parts = zip(parameters.items(), direction.split(sizes), strict=True)
        named = {name: part.view_as(p) for (name, p), part in parts}
        slope = directional_log_prob(model, half.completions, named, config.temperature)
        return within_prompt_covariance(half.rewards, slope, half.prompt).estimate

    def by_columns() -> Tensor:
        columns = []
        for k in range(len(rows.names)):
            [gradient] = objective_gradients(model, one(halves[0], k), config)
            columns.append(along(halves[1], metric * gradient))
        return torch.stack(columns, 1)

    def the_rest() -> None:
        """The effects of the step itself, and one gradient of the weighted rewards."""
        along(rows, metric)
        objective_gradients(model, one(rows, 0), config)

    once, columns, rest = (
        min(timed(work)[0] for _ in range(ROUNDS)) for work in (at_once, by_columns, the_rest)
    )
    transposed, expected = by_columns(), at_once().T  # row of X': half B's objective
    size = expected.abs().max()
    assert float((transposed - expected.to(transposed)).abs().max()) <= CLOSE * float(size)
    count, copy = len(rows.names), 4 * count_of(model) / 2**20
    print(
        f"{count} objectives, {len(rows.prompt)} rows: all gradients {once:.2f} s and "
        f"{2 * count} copies of the parameters ({2 * count * copy:.1f} MiB); columns in forward "
        f"mode {columns:.2f} s and {rest:.2f} s for what follows, {(columns + rest) / once:.2f} "
        f"times, with 1 copy ({copy:.1f} MiB)"
    )
