"""Supervised training of the base model from random weights."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.nn.functional import cross_entropy
from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

from covlaw.llm.base.config import BaseConfig
from covlaw.llm.base.corpus import IGNORED, Corpus, Texts, draw_answers

Progress = Callable[[int, int, float], None]
"""Called after each step with (steps done, steps in all, loss per completion token in nats)."""

MAX_POSITIONS = 128
WARM_UP_STEPS = 20
FACTS_WEIGHT = 0.3
FINAL_LEARNING_RATE = 0.05
LENGTH_GROUPS = 2


def new_model(config: BaseConfig, tokenizer: PreTrainedTokenizerFast) -> Qwen2ForCausalLM:
    """Build the untrained model from torch's global random state.

    Input and output embeddings are untied: a sampling engine that packs its output weights can
    then be given new ones tensor by tensor.
    """
    architecture = Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=config.width,
        intermediate_size=config.feed_forward,
        num_hidden_layers=config.layers,
        num_attention_heads=config.heads,
        num_key_value_heads=config.heads,
        max_position_embeddings=MAX_POSITIONS,
        tie_word_embeddings=False,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return Qwen2ForCausalLM(architecture)


def fit(model: Qwen2ForCausalLM, corpus: Corpus, config: BaseConfig, progress: Progress) -> float:
    """Minimise the mean cross-entropy of completion tokens; return the last step's."""
    rng = np.random.default_rng(config.seed)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=config.learning_rate, betas=(0.9, 0.95), weight_decay=0.01
    )
    decay = torch.optim.lr_scheduler.LambdaLR(optimizer, schedule(config.steps))
    loss = math.nan
    for step in range(config.steps):
        drawn = draw_answers(rng, config.styles, config.batch, config.difficulty)
        answers = corpus.answers.rows(drawn)
        facts = torch.from_numpy(rng.integers(len(corpus.facts.length), size=config.facts))
        accumulate(model, corpus.facts.rows(facts), FACTS_WEIGHT)
        loss = sum(
            accumulate(model, part, 1.0, counted(answers))
            for part in by_length(answers, LENGTH_GROUPS)
        )
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        decay.step()
        progress(step + 1, config.steps, loss)
    return loss


def schedule(steps: int, warm_up: int = WARM_UP_STEPS) -> Callable[[int], float]:
    """Share of the peak learning rate at a step: linear warm-up, then a cosine."""

    def factor(step: int) -> float:
        cosine = 0.5 * (1 + math.cos(math.pi * step / steps))
        decayed = FINAL_LEARNING_RATE + (1 - FINAL_LEARNING_RATE) * cosine
        return min(1.0, (step + 1) / warm_up) * decayed

    return factor


def by_length(texts: Texts, groups: int) -> list[Texts]:
    """Split a batch into groups of similar length: less padding to compute."""
    order = torch.argsort(texts.length, stable=True)
    return [texts.rows(group) for group in order.chunk(groups)]


def counted(texts: Texts) -> int:
    """Tokens that the loss reads."""
    return int((texts.labels != IGNORED).sum())


def accumulate(model: Any, texts: Texts, weight: float, tokens: int | None = None) -> float:
    """Add the gradient of weight · Σ cross-entropy / tokens; return the loss without weight."""
    labels = texts.labels[:, 1:]
    logits = model(input_ids=texts.tokens[:, :-1]).logits
    total = cross_entropy(
        logits.flatten(0, 1), labels.flatten(), ignore_index=IGNORED, reduction="sum"
    )
    loss = total / (tokens or counted(texts))
    (weight * loss).backward()
    return loss.item()
