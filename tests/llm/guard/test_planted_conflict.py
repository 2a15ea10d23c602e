"""A conflict that is planted: unguarded algorithms lose an objective, guarded ones none.

Completions are one token long, so that expected rewards are sums over the vocabulary, and two of
the three rewards add up to a constant: any move between them takes from one. The guard sees both
through samples only.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from small_runs import small_run
from torch import Tensor

from covlaw.llm.config.train_config import TrainConfig
from covlaw.llm.guard.gradients import objective_gradients
from covlaw.llm.guard.guard import Guard
from covlaw.llm.loop.policy_step import policy_step
from covlaw.llm.loop.randomness import torch_stream
from covlaw.llm.loop.trainer import Trainer
from covlaw.llm.loop.training_batch import TrainingBatch
from covlaw.llm.model.parameters import copy_of, load, trainable
from covlaw.theory.guard import optimiser_metric

REWARDS = ("numeral", "low_numeral", "no_numeral")
ALGORITHMS = (
    "linear",
    *(pytest.param(n, marks=pytest.mark.slow) for n in ("gdpo", "dynamic", "gradnorm")),
)
"""Those that such a conflict misleads; MGDA, UPGrad and CTWA stand still or nearly so between two
objectives that are opposed exactly."""
LOSS = 0.1
"""Of an expected reward in [0, 1], from where on it counts as lost."""


@pytest.fixture
def config(policy_folder: Path, tmp_path: Path) -> TrainConfig:
    return small_run(
        policy_folder,
        tmp_path / "run",
        rewards=tuple(f"{name}=own_rewards:{name}" for name in REWARDS),
        max_tokens=1,
        prompts=8,
        completions=8,
        observed=4,
        learning_rate=5e-4,
        audits=0,
        steps=20,
    )


class World:
    """The run's policy, with expected rewards by enumeration."""

    def __init__(self, config: TrainConfig) -> None:
        self.trainer = Trainer(config)
        tokenizer = self.trainer.tokenizer
        size = self.trainer.model.config.vocab_size
        texts = [tokenizer.decode([k], skip_special_tokens=True) for k in range(size)]
        numeral = torch.tensor([float(t.isdigit()) for t in texts])
        low = torch.tensor([float(t in {*"01234"}) for t in texts])
        self.table = torch.stack([numeral, low, 1 - numeral], 1).double()
        prompts = sorted({p.prompt for p in self.trainer.order.problems})
        self.inputs = tokenizer(prompts, return_tensors="pt", padding=True, padding_side="left")

    @torch.no_grad()
    def values(self) -> Tensor:
        mask = self.inputs["attention_mask"]
        logits = self.trainer.model(
            input_ids=self.inputs["input_ids"],
            attention_mask=mask,
            position_ids=(mask.cumsum(1) - 1).clamp(min=0),
        ).logits[:, -1]
        return (logits.double().softmax(-1) @ self.table).mean(0)


def change_of_a_run(config: TrainConfig) -> Tensor:
    world = World(config)
    start, states = world.values(), world.trainer.fresh()
    for step in range(config.steps):
        states, _ = world.trainer.step(step, states)
    return world.values() - start


@pytest.mark.parametrize("scalarizer", ALGORITHMS)
def test_an_unguarded_algorithm_loses_an_objective_and_the_guarded_one_none(
    config: TrainConfig, scalarizer: str
) -> None:
    config = replace(config, scalarizer=scalarizer, options={})
    guard = {"rows": 32, "check": 8, "objectives": ["no_numeral"], "strength": 1.0}
    plain = change_of_a_run(config)
    kept = change_of_a_run(replace(config, guard="on", guard_options=guard))
    assert float(plain.min()) < -LOSS
    assert float(kept.min()) > -LOSS
    assert float(kept[1]) > 0  # nor does it only stand still


# -- heavy noise ----------------------------------------------------------------------------------

SEEDS = 40


def naive_step(old: Any, new: Any, rows: Any, guard: Guard) -> None:
    """The crossed Gramian as it is, without a bound, a check or shrinkage: what did harm."""
    model = guard.model
    weight = optimiser_metric(guard.optimizer, list(trainable(model).values())).values
    u = torch.cat([(new[n] - old[n]).reshape(-1) for n in old]).double()
    load(model, old)
    half = guard.settings.rows // 2
    a, b = (objective_gradients(model, p, guard.config).double() for p in rows.parted(half))
    gram = (a * weight @ b.T + b * weight @ a.T) / 2
    mean = (a + b) / 2
    mu = torch.linalg.pinv(gram) @ -(mean @ u)
    u = u + weight * (mu.clamp(min=0.0) @ mean)
    start = 0
    with torch.no_grad():
        for name, p in trainable(model).items():
            part = u[start : start + p.numel()].reshape(p.shape)
            p.copy_(old[name] + part.float())
            start += p.numel()


def total_fall(change: Tensor) -> float:
    return float((-change).clamp(min=0.0).sum())


@pytest.fixture(scope="module")
def paired(policy_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Tensor]:
    """What objectives fall by in one update: unguarded, guarded, and guarded without any care."""
    config = small_run(
        policy_folder,
        tmp_path_factory.mktemp("noisy"),
        rewards=tuple(f"{name}=own_rewards:{name}" for name in REWARDS),
        max_tokens=1,
        prompts=3,
        completions=8,
        learning_rate=3e-3,
        audits=0,
        guard="on",
        guard_options={"rows": 4, "check": 2, "crossed": True, "floors": "zero"},
    )
    world = World(config)
    trainer, found = world.trainer, {"plain": [], "guarded": [], "naive": []}
    start, base = world.values(), copy_of(trainer.model)
    for seed in range(SEEDS):
        load(trainer.model, base)
        optimizer = torch.optim.AdamW(trainer.model.parameters(), lr=config.learning_rate)
        guard = Guard(trainer.model, optimizer, config)
        stream = torch_stream(seed, 0, "completions", "cpu")
        drawn = trainer.sampler.draw(trainer.order.batch(seed), 14, trainer.fresh().rewards, stream)
        noise = torch.randn(drawn.rewards.shape, generator=stream, dtype=torch.float64)
        drawn = replace(drawn, rewards=drawn.rewards + 2 * noise)
        batch, rows = drawn.parted(8)
        pending = guard.before(rows, guard.fresh())
        advantage = batch.rewards @ torch.tensor([0.6, 0.2, 0.2]).double()
        training = TrainingBatch.of(batch.weighted(advantage - advantage.mean()))
        policy_step(trainer.model, optimizer, training, config)
        new = copy_of(trainer.model)
        found["plain"].append(total_fall(world.values() - start))
        outcome = guard.correct(pending)
        assert outcome.record()["length"] <= 1 + 1e-6
        found["guarded"].append(total_fall(world.values() - start))
        naive_step(base, new, rows, guard)
        found["naive"].append(total_fall(world.values() - start))
        load(trainer.model, base)
    return {name: torch.tensor(values) for name, values in found.items()}


def z_of(difference: Tensor) -> float:
    return float(difference.mean() / difference.std() * len(difference) ** 0.5)


def test_with_few_completions_and_heavy_noise_the_guard_does_no_harm(
    paired: dict[str, Tensor],
) -> None:
    harm = paired["guarded"] - paired["plain"]
    assert z_of(harm) < 2


def test_without_bound_and_check_the_same_samples_do_harm(paired: dict[str, Tensor]) -> None:
    assert z_of(paired["naive"] - paired["plain"]) > 2
