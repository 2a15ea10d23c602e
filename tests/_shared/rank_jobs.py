"""What the processes of `ranked` do: each function runs on every rank."""

import os
import signal
import time
from collections.abc import Sequence
from typing import Any
from zlib import crc32

import torch
from torch import Tensor
from transformers import AutoTokenizer, Qwen2ForCausalLM

from covlaw.llm.config.train_config import TrainConfig
from covlaw.llm.distributed import rows as distributed_rows
from covlaw.llm.distributed.processes import active, ranks_of_run
from covlaw.llm.loop.gramian import policy_gramian
from covlaw.llm.loop.loss_pass import accumulate
from covlaw.llm.loop.policy_step import policy_step
from covlaw.llm.loop.trainer import Trainer
from covlaw.llm.loop.training_batch import TrainingBatch
from covlaw.llm.model.log_prob import all_token_log_prob, directional_log_prob, sequence_log_prob
from covlaw.llm.model.parameters import copy_of, gradients
from covlaw.llm.sampling.engine import Completions, TransformersEngine
from covlaw.llm.train import train as run_training
from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory.estimators.advantages import NORMALISERS, group_advantage
from covlaw.theory.estimators.covariance import (
    covariance_matrix,
    exact_change,
    within_prompt_covariance,
)
from covlaw.theory.estimators.headroom import headroom
from covlaw.theory.estimators.prompt_covariances import prompt_covariances

# -- statistics of a gathered batch ---------------------------------------------------------------


def random_batch(seed: int) -> tuple[Completions, Tensor, Tensor]:
    """Completions of 3 to 9 prompts, 2 to 6 each, with rewards (N, 2) and log-ratios (N,)."""
    rng = torch.Generator().manual_seed(seed)
    prompts = int(torch.randint(3, 10, (1,), generator=rng))
    counts = torch.randint(2, 7, (prompts,), generator=rng)
    prompt = torch.arange(prompts).repeat_interleave(counts)
    rows, widths = len(prompt), torch.randint(1, 6, (2,), generator=rng).tolist()
    mask = torch.arange(widths[0]) < torch.randint(1, widths[0] + 1, (rows, 1), generator=rng)
    tokens = torch.randint(1, 99, (rows, widths[0]), generator=rng)
    asked = torch.randint(1, 99, (rows, widths[1]), generator=rng)
    log_prob = -torch.rand(rows, widths[0], generator=rng)
    text = [f"Antwort {k} ½ \ud83d" for k in range(rows)]  # half a surrogate pair, as bytes may be
    completions = Completions(asked, asked > 0, tokens, mask, log_prob, prompt, text)
    rewards = torch.randn(rows, 2, generator=rng, dtype=torch.float64)
    return completions, rewards, 0.3 * torch.randn(rows, generator=rng, dtype=torch.float64)


def statistics(rewards: Tensor, log_ratio: Tensor, prompt: Tensor) -> dict[str, Any]:
    """All that a step computes from rewards."""
    covariance = within_prompt_covariance(rewards, rewards.sum(1), prompt)
    change = exact_change(rewards, log_ratio, prompt)
    room = headroom(prompt_covariances(rewards, prompt), torch.tensor([0.1, 0.2]).double())
    return {
        "covariance": covariance.estimate.tolist(),
        "standard_error": covariance.standard_error.tolist(),
        "matrix": covariance_matrix(rewards, prompt).flatten().tolist(),
        "change": change.estimate.tolist(),
        "change_error": change.standard_error.tolist(),
        "headroom": [float(room.lower)],
        **{name: group_advantage(rewards[:, 0], prompt, name).tolist() for name in NORMALISERS},
    }


def own_part(completions: Completions, seed: int) -> tuple[Tensor, int]:
    """Rows of a random split's own prompts, and prompts before them; a rank may get none."""
    ranks, prompts = active(), int(completions.prompt.max()) + 1
    rng = torch.Generator().manual_seed(1000 + seed)
    cuts = torch.randint(0, prompts + 1, (ranks.size - 1,), generator=rng).sort().values.tolist()
    bounds = [0, *cuts, prompts]
    first, end = bounds[ranks.rank], bounds[ranks.rank + 1]
    inside = (completions.prompt >= first) & (completions.prompt < end)
    return inside.nonzero()[:, 0], first


def gathered_statistics(seeds: int) -> list[dict[str, Any]]:
    """Each rank holds its prompts' rows alone, their ids from 0, then all gather them."""
    found = []
    with ranks_of_run(TrainConfig(rank_seconds=20.0)) as (ranks, _):
        for seed in range(seeds):
            completions, rewards, log_ratio = random_batch(seed)
            rows, first = own_part(completions, seed)
            own = completions.rows(rows)
            whole = distributed_rows.gathered(own._replace(prompt=own.prompt - first), first)
            parts = ranks.gather({"r": rewards[rows], "l": log_ratio[rows]}, "rewards")
            assert whole.text == completions.text
            assert torch.equal(whole.lengths, completions.lengths)
            assert torch.equal(whole.tokens[whole.mask], completions.tokens[completions.mask])
            r, s = (torch.cat([part[name] for part in parts]) for name in ("r", "l"))
            found.append(statistics(r, s, whole.prompt))
    return found


# -- one update, on several ranks and on one ------------------------------------------------------


class Case:
    """A batch, with everything that one update needs; the same on every rank."""

    def __init__(self, policy: str, settings: dict[str, Any]) -> None:
        self.policy = policy
        self.config = TrainConfig(rank_seconds=20.0, prompts=3, audit_prompts=3, **settings)
        tokenizer = AutoTokenizer.from_pretrained(policy)
        engine = TransformersEngine(self.model(), tokenizer)
        prompts, stream = ("1 + 2 = ?", "3 -", "9 - 4 = ? the answer"), torch.Generator()
        self.completions = engine.sample(prompts, 5, 8, 1.0, stream.manual_seed(0))
        self.rewards = torch.randn(15, 2, generator=stream, dtype=torch.float64)
        self.advantage = torch.randn(15, generator=stream, dtype=torch.float64)

    def model(self, scale: float = 1.0) -> Any:
        model = Qwen2ForCausalLM.from_pretrained(self.policy, dtype=torch.float32).eval()
        with torch.no_grad():
            for p in model.parameters():
                p.mul_(scale)
        return model

    def update(self) -> dict[str, Any]:
        """By gradient descent, whose size follows the gradient's."""
        model = self.model()
        before = copy_of(model)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
        batch = TrainingBatch(self.completions, self.advantage)
        reference = self.model(0.9) if self.config.kl_coefficient else None
        trace = policy_step(model, optimizer, batch, self.config, reference)
        after = copy_of(model)
        return {
            "moved": torch.cat([(after[n] - before[n]).flatten() for n in before]),
            **{f: getattr(trace, f) for f in ("grad_norm", "kl_reference", "entropy")},
            "clipped": trace.clip_fraction_low + trace.clip_fraction_high,
        }

    def passes(self) -> dict[str, Tensor]:
        """The other passes through the model that a run makes."""
        model, config, completions = self.model(), self.config, self.completions
        along = copy_of(self.model(0.5))
        gramian = policy_gramian(model, completions, self.rewards, config)
        batch = TrainingBatch(completions, self.advantage)
        for _ in range(2):  # a second pass adds to the first one's gradient
            accumulate(model, batch, config)
        return {
            "gramian": gramian.flatten(),
            "twice": torch.cat([g.flatten() for g in gradients(model).values()]),
            "tokens": all_token_log_prob(model, completions).flatten(),
            "sequences": sequence_log_prob(model, completions),
            "slopes": directional_log_prob(model, completions, along),
            "one row": sequence_log_prob(model, completions.rows(torch.tensor([3]))),
        }


def _gap(a: Any, b: Any) -> float:
    """Relative, by norm; 0 for what is absent from both."""
    if a is None or b is None:
        return 0.0 if a is b else float("inf")
    a, b = (torch.as_tensor(v, dtype=torch.float64) for v in (a, b))
    return float((a - b).norm() / b.norm().clamp(min=1e-30))


def compared(policy: str, what: str, settings: dict[str, Any]) -> dict[str, float]:
    """`Case.update` or `Case.passes` on all ranks, then again on each alone: relative gaps."""
    case = Case(policy, settings)
    with ranks_of_run(case.config):
        together = getattr(case, what)()
    alone = getattr(case, what)()
    return {name: _gap(together[name], alone[name]) for name in alone} | {
        f"size of {name}": float(torch.as_tensor(value or 0.0).double().norm())
        for name, value in alone.items()
        if not isinstance(value, Tensor)
    }


# -- whole runs -----------------------------------------------------------------------------------


def sample_by_prompt(engine: Any, prompts: Sequence[str], n: int, *rest: Any) -> Completions:
    """Completions that depend on the prompt and the weights, not on who asks or with what else."""
    parts = []
    for prompt in prompts:
        stream = torch.Generator().manual_seed(crc32(f"{prompt} {n}".encode()))
        parts.append(_SAMPLE(engine, [prompt], n, rest[0], rest[1], stream))
    widths = [max(getattr(p, f).shape[1] for p in parts) for f in ("prompt_tokens", "tokens")]
    padded = [
        part._replace(
            **{f: _left(getattr(part, f), widths[0]) for f in ("prompt_tokens", "prompt_mask")},
            **{f: _right(getattr(part, f), widths[1]) for f in ("tokens", "mask", "log_prob")},
            prompt=part.prompt + k,
        )
        for k, part in enumerate(parts)
    ]
    text = [t for part in parts for t in part.text]
    return Completions._make(
        (*(torch.cat(column) for column in list(zip(*padded, strict=True))[:-1]), text)
    )


_SAMPLE = TransformersEngine.sample


def _left(values: Tensor, width: int) -> Tensor:
    return torch.nn.functional.pad(values, (width - values.shape[1], 0))


def _right(values: Tensor, width: int) -> Tensor:
    return torch.nn.functional.pad(values, (0, width - values.shape[1]))


def same_samples(settings: dict[str, Any]) -> None:
    """A run whose completions do not depend on the number of ranks."""
    TransformersEngine.sample = sample_by_prompt  # type: ignore[method-assign,assignment]
    run_training(TrainConfig.from_dict(settings))


def train(settings: dict[str, Any], kill_at: int | None = None) -> bool:
    """A run; the last rank is killed when it comes to a step. Whether news came to this rank."""
    if kill_at is not None:
        _at_step(kill_at, lambda: os.kill(os.getpid(), signal.SIGKILL))
    news = list[int]()
    run_training(TrainConfig.from_dict(settings), lambda done, *_: news.append(done))
    return bool(news)


def hang(settings: dict[str, Any], step: int, seconds: float) -> None:
    """A run whose last rank stops at a step, and goes on once the others have waited enough."""
    _at_step(step, lambda: time.sleep(seconds))
    run_training(TrainConfig.from_dict(settings))


def fail(settings: dict[str, Any], step: int) -> None:
    """A run whose last rank fails at a step."""

    def raise_error() -> None:
        raise CovlawError("reward 'taste' failed")

    _at_step(step, raise_error)
    run_training(TrainConfig.from_dict(settings))


def differ(settings: dict[str, Any], step: int, what: str) -> None:
    """A run in which a state of the last rank goes its own way at a step."""
    plain = Trainer.step

    def stepped(trainer: Any, now: int, states: Any) -> Any:
        states, record = plain(trainer, now, states)
        if now == step and _is_last():
            if what == "parameters":
                with torch.no_grad():
                    trainer.model.lm_head.weight[1, 1] *= 1 + 2.0**-22
            else:
                state = states.scalarizer
                moved = state._replace(log_weights=state.log_weights * (1 + 2.0**-52))
                states = states._replace(scalarizer=moved)
        return states, record

    Trainer.step = stepped  # type: ignore[method-assign]
    run_training(TrainConfig.from_dict(settings))


def _is_last() -> bool:
    return active().rank == active().size - 1


def _at_step(step: int, act: Any) -> None:
    """Have the last rank do something first when it comes to a step."""
    plain = Trainer.step

    def stepped(trainer: Any, now: int, states: Any) -> Any:
        if now == step and _is_last():
            act()
        return plain(trainer, now, states)

    Trainer.step = stepped  # type: ignore[method-assign]
