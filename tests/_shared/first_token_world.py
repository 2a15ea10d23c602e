"""A policy whose completions are one token long, so that every expectation is a short sum.

Rewards depend on the token alone; `traded` is what `wanted` leaves, so that any weights that favour
`wanted` push it down: an interference that is planted, with nothing left to chance.
"""

from typing import Any

import torch
from torch import Tensor
from transformers import Qwen2Config, Qwen2ForCausalLM

from covlaw.llm.model.tokenizer import build_tokenizer

WORDS = [f"w{i}" for i in range(9)]
ROWS = [{"prompt": f"{a} {b}"} for a in WORDS for b in WORDS][::5]
WIDTH = 32
VOCABULARY = len(WORDS) + 3
WANTED = torch.rand(VOCABULARY, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
TABLES = {"wanted": WANTED, "traded": 1 - WANTED, "akin": WANTED.sqrt()}
"""(V,) reward of each token."""
WEIGHTS = {"wanted": 0.8, "traded": 0.2}
ALIGNED = {"wanted": 0.8, "akin": 0.2}


def policy(seed: int = 0) -> tuple[Any, Any]:
    """An untrained Qwen2 of 10,000 parameters and its tokenizer."""
    tokenizer = build_tokenizer(WORDS)
    torch.manual_seed(seed)
    config = Qwen2Config(
        vocab_size=VOCABULARY,
        hidden_size=WIDTH,
        intermediate_size=48,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=16,
        initializer_range=0.3,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return Qwen2ForCausalLM(config), tokenizer


def reward(name: str):
    """A reward function as TRL calls it."""

    def rewarded(completion_ids, **_: Any) -> list[float]:
        return [float(TABLES[name][ids[0]]) for ids in completion_ids]

    return rewarded


def rewards(names) -> dict[str, Any]:
    return {name: reward(name) for name in names}


@torch.no_grad()
def log_probs(model: Any, tokenizer: Any) -> Tensor:
    """(P, V) log π of each token on each row's prompt, one forward pass a prompt."""
    ids = [tokenizer(row["prompt"], return_tensors="pt")["input_ids"] for row in ROWS]
    logits = torch.cat([model(i).logits[:, -1] for i in ids])
    return torch.log_softmax(logits.double(), 1)


def expected(log_prob: Tensor, names) -> Tensor:
    """(M,) expected rewards, by enumeration."""
    return torch.stack([(log_prob.exp() @ TABLES[name]).mean() for name in names])
