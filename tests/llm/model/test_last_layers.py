"""Training the last layers only: nothing else moves, and what moves is what was asked for."""

from pathlib import Path

import pytest
import torch
from small_runs import small_run
from transformers import LlamaConfig, LlamaForCausalLM, Qwen2ForCausalLM

from covlaw.llm.model.last_layers import train_last
from covlaw.llm.model.parameters import trainable
from covlaw.llm.train import train
from covlaw.theory._numerics.errors import CovlawError


def llama(tied: bool) -> LlamaForCausalLM:
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=11,
            hidden_size=8,
            intermediate_size=8,
            num_hidden_layers=3,
            num_attention_heads=1,
            tie_word_embeddings=tied,
        )
    )


@pytest.mark.parametrize("tied", [True, False])
def test_the_last_layers_and_what_follows_them_are_trained(tied: bool) -> None:
    model = llama(tied)
    train_last(model, 1)
    names = {name.rpartition("layers.2.")[0] + "layers.2" for name in trainable(model)}
    assert {n for n in trainable(model) if "layers" not in n} == (
        {"model.norm.weight"} if tied else {"model.norm.weight", "lm_head.weight"}
    )
    assert "model.layers.2" in names
    assert not any("layers.0" in n or "layers.1" in n or "embed" in n for n in trainable(model))


def test_zero_trains_everything_and_too_many_are_refused() -> None:
    model = llama(True)
    train_last(model, 0)
    assert all(p.requires_grad for p in model.parameters())
    with pytest.raises(CovlawError, match="has 3 layers in a row"):
        train_last(model, 4)


def test_a_run_leaves_the_rest_as_it_is(policy_folder: Path, tmp_path: Path) -> None:
    run = train(small_run(policy_folder, tmp_path / "run", steps=2, train_layers=1, audits=1))
    old = Qwen2ForCausalLM.from_pretrained(policy_folder).state_dict()
    new = Qwen2ForCausalLM.from_pretrained(run / "model").state_dict()
    moved = {name for name, value in old.items() if not torch.equal(value, new[name])}
    assert moved
    assert all("layers.0" in n or n in ("model.norm.weight", "lm_head.weight") for n in moved)
