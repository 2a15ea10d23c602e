"""What audits cost: a derivative beside a gradient of the same rows, an audit beside a step.

CPU time on one thread, best of interleaved rounds, so that a busy machine hurts both sides alike.
"""

import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from covlaw.llm.audit.schedule import SHARE, audit_count, relative_cost
from covlaw.llm.config.train_config import TrainConfig
from covlaw.llm.loop.trainer import Trainer
from covlaw.llm.model.log_prob import chunks, directional_log_prob, distinct, token_log_prob
from covlaw.llm.model.parameters import trainable
from covlaw.llm.model.policy import load_policy
from covlaw.llm.sampling.engine import Completions, TransformersEngine
from covlaw.llm.tasks import load_task

pytestmark = pytest.mark.benchmark

COMPLETIONS, ROUNDS, ROWS = 4096, 3, 256
DERIVATIVE_LIMIT = 1.5
STEPS = 2


@pytest.fixture(scope="module")
def policy() -> tuple:
    torch.set_num_threads(1)
    return load_policy("base", "cpu")


@pytest.fixture(scope="module")
def rows(policy: tuple) -> Completions:
    """The distinct ones of 4,096 completions of the base model."""
    prompts = [p.prompt for p in load_task("arithmetic", "train")] * 10
    generator = torch.Generator().manual_seed(0)
    drawn = TransformersEngine(*policy).sample(prompts[: COMPLETIONS // 16], 16, 44, 1.0, generator)
    assert len(drawn.text) == COMPLETIONS
    return distinct(drawn)[0]


def seconds(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def gradient(model, rows: Completions, weight: torch.Tensor) -> None:
    model.zero_grad(set_to_none=True)
    order = rows.lengths.argsort()  # like the derivative, without needless padding
    batch, weight = rows.rows(order), weight[order]
    for part, own in zip(chunks(batch, ROWS), weight.split(ROWS), strict=True):
        (token_log_prob(model, part).sum(1) @ own).backward()


def test_a_derivative_costs_no_more_than_one_and_a_half_gradients(policy, rows) -> None:
    """One forward-mode pass serves every objective; a gradient is one forward and one backward."""
    model = policy[0]
    torch.manual_seed(0)
    direction = {name: 1e-3 * torch.randn_like(p) for name, p in trainable(model).items()}
    weight = torch.randn(len(rows.text))
    found: list[torch.Tensor] = []
    times = [
        (
            seconds(lambda: found.append(directional_log_prob(model, rows, direction, 1.0, ROWS))),
            seconds(lambda: gradient(model, rows, weight)),
        )
        for _ in range(ROUNDS)
    ]
    forward_mode, both_ways = (min(column) for column in zip(*times, strict=True))
    print(
        f"\nderivative of {len(rows.text)} distinct of {COMPLETIONS} completions: "
        f"{forward_mode:.1f} s, gradient {both_ways:.1f} s: {forward_mode / both_ways:.2f}×"
    )
    slope = sum(float((p.grad * direction[n]).sum()) for n, p in trainable(model).items())
    # the two modes differentiate the same sum: float32 over 4,096 rows of 22 tokens of any sign
    size = float((found[0].abs() * weight.abs()).sum())
    assert abs(float(found[0] @ weight.double()) - slope) <= 1000 * 2.0**-24 * size
    assert forward_mode <= DERIVATIVE_LIMIT * both_ways


def cost_of_an_audit(config: TrainConfig) -> tuple[float, float]:
    """CPU seconds that an audit adds to a step, and of a step without one; the best of each."""
    trainer = Trainer(config)
    plain, audited, states = [], [], trainer.fresh()
    assert trainer.auditor.steps == {0}
    for k in range(STEPS + 1):
        for kept, steps in ((plain, frozenset()), (audited, frozenset({k}))):
            trainer.auditor.steps = steps
            kept.append(seconds(lambda step=k: trainer.step(step, states)))
    first = 1  # decompositions for forward mode are loaded once
    return min(audited[first:]) - min(plain[first:]), min(plain[first:])


@pytest.mark.parametrize("scalarizer", ["linear", "ctwa"])
def test_audits_by_default_take_a_tenth_of_a_run(tmp_path: Path, scalarizer: str) -> None:
    """A run of the paper's length, with half its batch's prompts and half those of an audit."""
    config = TrainConfig(
        out=str(tmp_path / "run"),
        scalarizer=scalarizer,
        steps=1,
        prompts=16,
        completions=16,
        observed=4,
        audit_prompts=16,
        learning_rate=1e-6,
    )
    added, step = cost_of_an_audit(config)
    steps = 810
    count = audit_count(config, steps)
    share = count * added / (steps * step + count * added)
    print(
        f"\n{scalarizer}: an audit costs {added / step:.1f} steps (planned: at most "
        f"{relative_cost(config):.1f}); {count} in {steps} steps take {share:.1%}"
    )
    assert count >= 5
    assert share <= SHARE
