"""Frozen weights in bfloat16: the numbers of autocast, made once, put back, shared, kept true."""

from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM

from covlaw.llm.config.train_config import TrainConfig
from covlaw.llm.model import frozen
from covlaw.llm.model.frozen import frozen_in_bfloat16, half_of
from covlaw.llm.model.last_layers import train_last
from covlaw.llm.model.log_prob import all_token_log_prob, token_log_prob
from covlaw.llm.model.precision import training_pass
from covlaw.llm.sampling.engine import TransformersEngine

HALF = TrainConfig(dtype="bfloat16")


@pytest.fixture
def partly(policy: Any) -> Any:
    """A policy of which the last of two layers is trained, its head tied to the embedding."""
    shape = LlamaConfig(
        vocab_size=policy[0].config.vocab_size,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=2,
        tie_word_embeddings=True,
        initializer_range=0.3,
    )
    torch.manual_seed(0)
    model = LlamaForCausalLM(shape).eval()
    train_last(model, 1)
    return model, policy[1]


def drawn(policy: Any) -> Any:
    engine = TransformersEngine(*policy)
    return engine.sample(["1 + 2 = ?", "3 -"], 8, 5, 1.0, torch.Generator().manual_seed(0))


def read(model: Any, batch: Any) -> tuple[Tensor, list[Tensor]]:
    """Log-probs in a training pass, and the gradients of their sum."""
    model.zero_grad()
    with training_pass(model, HALF):
        found = all_token_log_prob(model, batch, 1.0, 16)
        token_log_prob(model, batch).sum().backward()
    return found, [p.grad.clone() for p in model.parameters() if p.grad is not None]


def test_passes_give_the_same_numbers_bit_for_bit(
    partly: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = drawn(partly)
    found, gradients = read(partly[0], batch)
    monkeypatch.setattr(frozen, "_is_cast", lambda _: False)
    usual, expected = read(partly[0], batch)
    assert torch.equal(found, usual)
    assert gradients
    assert all(torch.equal(g, e) for g, e in zip(gradients, expected, strict=True))


def test_only_frozen_matrices_are_cast_and_they_are_put_back_after_an_error(partly: Any) -> None:
    model = partly[0]
    before = dict(model.named_parameters())
    inside = {}

    def work() -> None:
        with frozen_in_bfloat16(model, on=True):
            inside.update((n, p.dtype) for n, p in model.named_parameters(remove_duplicate=False))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        work()
    halves = {name for name, dtype in inside.items() if dtype == torch.bfloat16}
    assert {name for name in halves if "layers.0." not in name} == {"lm_head.weight"}
    assert any("layers.0." in name for name in halves)
    assert not any("norm" in name for name in halves)
    after = dict(model.named_parameters())
    assert all(after[name] is p for name, p in before.items())


def test_a_weight_that_was_written_is_cast_again_into_the_same_copy() -> None:
    weight = torch.nn.Parameter(torch.randn(3, 4), requires_grad=False)
    first = half_of(weight)
    assert half_of(weight) is first
    with torch.no_grad():
        weight.add_(1)
    assert half_of(weight) is first
    assert torch.equal(first, weight.bfloat16())


def test_a_copy_that_samples_shares_what_is_frozen_and_follows_what_is_trained(
    partly: Any,
) -> None:
    model, tokenizer = partly
    engine = TransformersEngine(model, tokenizer, dtype="bfloat16")
    pairs = list(zip(engine.model.parameters(), model.parameters(), strict=True))
    with torch.no_grad():
        for _, weight in pairs:
            weight.mul_(1.5)
    engine.sync(model)
    for own, weight in pairs:
        assert torch.equal(own, weight.bfloat16())
        assert (own.data_ptr() == half_of(weight).data_ptr()) != weight.requires_grad
