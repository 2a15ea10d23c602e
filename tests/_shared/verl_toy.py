"""verl's own trainer, loop and TransferQueue on a policy that can be enumerated.

The policy is a table: logits of three tokens (0 ends) for each prompt and prefix, completions of
three tokens at most. What stands in: the workers (their passes and steps on that table), the engine
that samples, and what starts them. The rest, from the replay buffer to the tracking, is verl's.
"""

from itertools import product
from typing import Any

import numpy as np
import torch
import transfer_queue as tq
from omegaconf import OmegaConf, open_dict
from torch import Tensor
from torchdata.stateful_dataloader import StatefulDataLoader
from verl.trainer.ppo.v1 import get_trainer_cls
from verl.utils.dataset.rl_dataset import collate_fn
from verl.utils.tensordict_utils import list_of_dict_to_tensordict

PROMPTS, VOCAB, LIMIT = 4, 3, 3
PREFIXES = [p for n in range(LIMIT) for p in product((1, 2), repeat=n)]
COMPLETIONS = [(*p, 0) for p in PREFIXES] + list(product((1, 2), repeat=LIMIT))
PLACE = {prefix: place for place, prefix in enumerate(PREFIXES)}
NAMES = ["right", "brief", "clear"]


def reward(prompt: int, tokens: tuple[int, ...]) -> dict[str, Any]:
    """What a reward function of verl returns; brief and clear pull against each other."""
    right = float(tokens[0] == 1 + prompt % 2)
    brief, clear = 1.0 - len(tokens) / LIMIT, tokens.count(2) / LIMIT
    return {"score": right, "right": right, "brief": brief, "clear": clear}


class Policy:
    """π(token | prompt, prefix): softmax of a table (P, prefixes, 3), float64."""

    def __init__(self, seed: int = 0) -> None:
        made = torch.Generator().manual_seed(seed)
        shape = (PROMPTS, len(PREFIXES), VOCAB)
        self.logits = torch.randn(shape, generator=made, dtype=torch.float64) / 2

    def token_log_prob(self, prompt: int, tokens: tuple[int, ...], logits: Tensor) -> Tensor:
        """(T,)."""
        rows = [PLACE[tokens[:t]] for t in range(len(tokens))]
        return logits[prompt, rows].log_softmax(-1)[range(len(tokens)), list(tokens)]

    def masses(self) -> Tensor:
        """(P, 15) of all completions."""
        return torch.stack(
            [
                torch.stack([self.token_log_prob(p, y, self.logits).sum() for y in COMPLETIONS])
                for p in range(PROMPTS)
            ]
        ).exp()

    def expected(self, names: list[str] = NAMES) -> Tensor:
        """(M,) of the rewards, over all prompts."""
        values = [[[reward(p, y)[n] for n in names] for y in COMPLETIONS] for p in range(PROMPTS)]
        return torch.einsum("pc,pcm->m", self.masses(), torch.tensor(values).double()) / PROMPTS


class Workers:
    """What verl's worker group does for the trainer, on the table."""

    def __init__(self, policy: Policy, config: Any, rate: float) -> None:
        self.policy, self.config, self.rate = policy, config, rate
        self._dispatch_info = {"actor": [0]}
        self.passes: list[dict[str, Any]] = []

    def _rows(self, batch: Any) -> list[tuple[int, tuple[int, ...]]]:
        data = tq.kv_batch_get(
            keys=batch.keys, partition_id=batch.partition_id, select_fields=["prompts", "responses"]
        )
        pairs = zip(data["prompts"].unbind(), data["responses"].unbind(), strict=True)
        return [(int(p[-1]), tuple(r.tolist())) for p, r in pairs]

    def compute_log_prob(self, batch: Any) -> Any:
        self.passes.append(dict(batch.extra_info))
        prompts = tq.kv_batch_get(
            keys=batch.keys, partition_id=batch.partition_id, select_fields=["prompts"]
        )["prompts"].unbind()
        values = []
        for (prompt, tokens), ids in zip(self._rows(batch), prompts, strict=True):
            known = tokens[0] < VOCAB and prompt < PROMPTS and tokens[:-1].count(0) == 0
            own = (
                self.policy.token_log_prob(prompt, tokens, self.policy.logits)
                if known
                else torch.zeros(len(tokens)).double()
            )
            # the i-th number is of the token i + 1, as a model's are
            values.append(torch.cat([torch.zeros(len(ids) - 1), own, torch.zeros(1)]).float())
        return write(batch, log_probs=values, entropy=[torch.zeros_like(v) for v in values])

    compute_ref_log_prob = compute_log_prob

    def update_actor(self, batch: Any) -> dict[str, Any]:
        """One step of SGD on verl's clipped loss, a mini-batch at a time."""
        fields = ["advantages", "old_log_probs", "response_mask"]
        data = tq.kv_batch_get(
            keys=batch.keys, partition_id=batch.partition_id, select_fields=fields
        )
        advantage, old, mask = (data[f].unbind() for f in fields)
        self.trained_on = dict(zip(batch.keys, advantage, strict=True))
        rows, size = self._rows(batch), batch.extra_info["mini_batch_size"]
        for start in range(0, len(rows), size):
            logits = self.policy.logits.clone().requires_grad_(True)
            total = torch.zeros(()).double()
            for i in range(start, min(start + size, len(rows))):
                if not mask[i].any():
                    continue
                ratio = (self.policy.token_log_prob(*rows[i], logits) - old[i].double()).exp()
                worth = advantage[i].double()
                kept = torch.minimum(ratio * worth, ratio.clamp(0.8, 1.2) * worth)
                total = total + (kept * mask[i]).sum()
            (total / size).backward()
            self.policy.logits = self.policy.logits + self.rate * logits.grad
        return {"metrics": {"mfu": 0.0, "grad_norm": float(logits.grad.norm())}}

    def save_checkpoint(self, local_path: str, *_: Any, **__: Any) -> None:
        from pathlib import Path

        Path(local_path).mkdir(parents=True, exist_ok=True)
        torch.save(self.policy.logits, Path(local_path) / "logits.pt")

    def load_checkpoint(self, local_path: str, **_: Any) -> None:
        self.policy.logits = torch.load(f"{local_path}/logits.pt")


class Critic:
    """A worker group whose critic says 0 of everything, and keeps what it is taught."""

    def __init__(self) -> None:
        self.futures: list[Any] = []  # a tuple is nothing that Ray waits for

    def infer_batch(self, batch: Any) -> Any:
        lengths = [tag["seq_len"] for tag in batch.tags]
        write(batch, values=[torch.zeros(length) for length in lengths])
        return self

    def train_mini_batch(self, batch: Any) -> Any:
        self.taught = tq.kv_batch_get(
            keys=batch.keys, partition_id=batch.partition_id, select_fields=["returns"]
        )["returns"].unbind()
        return self

    def get(self) -> dict[str, Any]:
        return {"metrics": {"mfu": 0.0}}


def write(batch: Any, **fields: list[Tensor]) -> Any:
    """Put a tensor of tokens a row into the queue."""
    from tensordict import TensorDict

    nested = {n: torch.nested.as_nested_tensor(v, layout=torch.jagged) for n, v in fields.items()}
    data = TensorDict(nested, batch_size=len(batch.keys))
    tq.kv_batch_put(keys=batch.keys, partition_id=batch.partition_id, fields=data)
    return batch


class Sampler:
    """What verl's agent loops do: completions and their rewards into the queue."""

    def __init__(self, policy: Policy, config: Any, scored: Any = reward, turns: int = 1) -> None:
        self.policy, self.config, self.scored, self.turns = policy, config, scored, turns
        self.random = torch.Generator().manual_seed(1)

    def generate_sequences(self, batch: Any) -> None:
        validate = "validate" in batch
        partition = "val" if validate else "train"
        rollout = self.config.actor_rollout_ref.rollout
        count = rollout.val_kwargs.n if validate else rollout.n
        masses = self.policy.masses()
        for uid, index in zip(list(batch["uid"]), list(batch["index"]), strict=True):
            drawn = torch.multinomial(masses[int(index)], count, True, generator=self.random)
            rows = [self._row(uid, int(index), COMPLETIONS[c]) for c in drawn.tolist()]
            keys = [f"{uid}_{i}_{t}" for i in range(count) for t in range(self.turns)]
            rows = [row for row in rows for _ in range(self.turns)]
            tags = [
                {
                    **{"status": "success", "prompt_len": 2, "response_len": len(r["responses"])},
                    **{"seq_len": 2 + len(r["responses"]), "global_steps": 0},
                    **{"min_global_steps": 0, "max_global_steps": 0},
                }
                for r in rows
            ]
            fields = list_of_dict_to_tensordict(rows)
            tq.kv_batch_put(keys=keys, fields=fields, tags=tags, partition_id=partition)
            tq.kv_put(key=uid, partition_id=partition, tag={"status": "finished"})

    def _row(self, uid: str, prompt: int, tokens: tuple[int, ...]) -> dict[str, Any]:
        found, ones = self.scored(prompt, tokens), torch.ones(len(tokens), dtype=torch.int64)
        ids, made = torch.tensor([VOCAB, prompt]), torch.tensor(tokens)
        total = torch.zeros(len(tokens))
        total[-1] = found["score"]
        own = self.policy.token_log_prob(prompt, tokens, self.policy.logits).float()
        return {
            **{"uid": uid, "prompts": ids, "responses": made, "response_mask": ones},
            **{"loss_mask": ones, "input_ids": torch.cat([ids, made]), "rm_scores": total},
            **{"position_ids": torch.arange(2 + len(tokens)), "num_turns": 2},
            **{"reward_model": {"ground_truth": str(prompt)}, "data_source": "toy"},
            **{"extra_fields": {"reward_extra_info": found}, "raw_prompt": [], "index": prompt},
            "rollout_log_probs": own,
        }


class Nothing:
    """Engines and pools that there are none of here."""

    reward_loop_worker_handles = ()

    def __getattr__(self, name: str) -> Any:
        return lambda *_, **__: 1


class Words:
    """A tokenizer."""

    pad_token_id = eos_token_id = 0

    def decode(self, ids: Tensor, **_: Any) -> str:
        """Ends where the completion does; what fills a row up is the same token."""
        given = ids.tolist()
        return " ".join(map(str, given[: given.index(0) + 1] if 0 in given else given))


def configured(folder: Any, *more: str, **ours: Any) -> Any:
    """verl's own defaults, GRPO on four prompts of 16 completions, and `trainer.v1.covlaw`."""
    from hydra import compose, initialize_config_module

    with initialize_config_module("verl.trainer.config", version_base=None):
        config = compose(
            "ppo_trainer",
            [
                *("algorithm.adv_estimator=grpo", "trainer.logger=[console]", "data.train_files=x"),
                *(f"data.train_batch_size={PROMPTS}", f"trainer.default_local_dir={folder}/kept"),
                *("actor_rollout_ref.rollout.n=16", "actor_rollout_ref.rollout.name=vllm"),
                *(f"actor_rollout_ref.actor.ppo_mini_batch_size={PROMPTS}", "data.val_files=x"),
                *("trainer.v1.trainer_mode=covlaw", "trainer.val_before_train=False"),
                *("trainer.n_gpus_per_node=1", "trainer.total_training_steps=2"),
                *("transfer_queue.enable=True", "trainer.total_epochs=100", *more),
            ],
        )
    if ours:
        with open_dict(config):
            config.trainer.v1.covlaw = OmegaConf.create(ours)
    return config


def build(config: Any, policy: Policy, rate: float = 1.0, scored: Any = reward) -> Any:
    """The trainer that the configuration names, ready for `fit(trainer.sampler)`."""
    trainer = get_trainer_cls(config.trainer.v1.trainer_mode)(config)
    rows = [
        {"raw_prompt": [{"role": "user", "content": str(p)}], "index": p, "data_source": "toy"}
        for p in range(PROMPTS)
    ]
    trainer.train_dataloader, trainer.val_dataloader = (
        StatefulDataLoader(rows, batch_size=PROMPTS, collate_fn=collate_fn) for _ in range(2)
    )
    trainer.train_dataloader_it, trainer.steps_per_epoch = None, 1
    trainer.total_training_steps = config.trainer.total_training_steps
    trainer.tokenizer, trainer.ref_in_actor = Words(), False
    trainer.checkpoint_manager = trainer.reward_loop_manager = Nothing()
    trainer.resource_pool_manager = Nothing()
    trainer.actor_rollout_wg = trainer.ref_policy_wg = Workers(policy, config, rate)
    trainer.critic_wg = Critic()
    trainer.sampler = Sampler(policy, config, scored)
    trainer._init_dump_executor()
    trainer._load_checkpoint()
    trainer.logged = []
    return trainer


def fit(trainer: Any) -> list[dict[str, Any]]:
    """Run verl's own loop; what it tracked, step by step."""
    from verl.utils.tracking import Tracking

    logged, own = [], Tracking.log

    def log(self: Any, data: dict[str, Any], step: int, **kwargs: Any) -> None:
        logged.append({k: float(v) for k, v in data.items() if np.isscalar(v)})
        own(self, data, step, **kwargs)

    Tracking.log = log
    try:
        trainer.fit(trainer.sampler)
    finally:
        Tracking.log = own
    return logged
