"""Prompts read once a group: the same log-probs, gradients and derivatives from fewer tokens."""

from collections.abc import Iterator

import pytest
import torch
from transformers import (
    GemmaConfig,
    GemmaForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from covlaw.llm.config.train_config import TrainConfig
from covlaw.llm.model import chunked_head, shared_prompts
from covlaw.llm.model.log_prob import all_token_log_prob, directional_log_prob, token_log_prob
from covlaw.llm.model.parameters import trainable
from covlaw.llm.model.shared_prompts import read_shared
from covlaw.llm.sampling.engine import Completions
from covlaw.theory._numerics.errors import CovlawError

SIZES = {"vocab_size": 31, "num_hidden_layers": 2, "hidden_size": 16, "num_attention_heads": 2}
LLAMA_LIKE = SIZES | {"intermediate_size": 24, "num_key_value_heads": 1, "initializer_range": 0.3}
# float32: 2 layers of about 100 operations each on log-probs of size 10, 6 tokens
ALLOWED = 6 * 200 * 2.0**-24 * 10


def build(kind: str) -> torch.nn.Module:
    torch.manual_seed(0)
    if kind == "gpt2":
        gpt2 = GPT2Config(vocab_size=31, n_layer=2, n_embd=16, n_head=2, initializer_range=0.3)
        return GPT2LMHeadModel(gpt2).eval()
    if kind == "gemma":
        return GemmaForCausalLM(GemmaConfig(**LLAMA_LIKE, head_dim=8)).eval()
    if kind == "qwen":
        return Qwen2ForCausalLM(Qwen2Config(**LLAMA_LIKE)).eval()
    return LlamaForCausalLM(LlamaConfig(**LLAMA_LIKE)).eval()


@pytest.fixture(params=["llama", "gemma", "qwen", "gpt2"])
def model(request) -> torch.nn.Module:
    return build(request.param)


@pytest.fixture
def batch() -> Completions:
    """Three prompts of 2 to 5 tokens, four completions each of 1 to 6, rows in no order."""
    stream = torch.Generator().manual_seed(1)
    prompt = torch.arange(3).repeat_interleave(4)[torch.randperm(12, generator=stream)]
    lengths = torch.randint(1, 7, (12,), generator=stream)
    lengths[0] = 6
    before = torch.tensor([5, 2, 4])[prompt]
    prompt_mask = torch.arange(6) >= 6 - before[:, None]  # one column is padding in all
    questions = torch.randint(31, (3, 6), generator=stream)[prompt]
    mask = torch.arange(6) < lengths[:, None]
    tokens = torch.randint(31, (12, 6), generator=stream)
    return Completions(
        torch.where(prompt_mask, questions, 0),
        prompt_mask,
        torch.where(mask, tokens, 0),
        mask,
        torch.zeros(12, 6),
        prompt,
        [""] * 12,
    )


@pytest.fixture(params=[1, 10 * 2**20], ids=["chunked head", "plain head"])
def head(request, monkeypatch) -> Iterator[None]:
    monkeypatch.setitem(chunked_head.CHUNK, "cpu", request.param)
    return


@pytest.mark.usefixtures("head")
def test_log_probs_and_gradients_are_those_of_whole_rows(model, batch) -> None:
    weights = torch.randn(batch.mask.shape, generator=torch.Generator().manual_seed(2))
    found = []
    for shared in (False, True):
        with shared_prompts.shared_prompts(shared):
            log_prob = token_log_prob(model, batch)
            own = torch.autograd.grad((log_prob * weights).sum(), list(trainable(model).values()))
        found.append((log_prob.detach(), torch.cat([g.reshape(-1) for g in own])))
    (plain, gradient), (once, other) = found
    assert float((plain - once).abs().max()) <= ALLOWED
    assert float((gradient - other).norm()) <= ALLOWED * float(gradient.norm())
    assert float(plain.std()) > 1000 * ALLOWED


@pytest.mark.usefixtures("head")
def test_so_are_directional_derivatives_and_reads_in_pieces(model, batch) -> None:
    stream = torch.Generator().manual_seed(3)
    names = trainable(model).items()
    along = {n: torch.randn(p.shape, generator=stream) / p.numel() ** 0.5 for n, p in names}
    found = []
    for shared in (False, True):
        with shared_prompts.shared_prompts(shared):
            slope = directional_log_prob(model, batch, along, rows=5)
            found.append((slope, all_token_log_prob(model, batch, rows=5)))
    (plain, read), (once, other) = found
    assert float((plain - once).abs().max()) <= ALLOWED * float(plain.abs().max().clamp(min=1))
    assert float((read - other).abs().max()) <= ALLOWED


def test_each_row_goes_on_from_its_own_prompt(model, batch, monkeypatch) -> None:
    """The false variant: keys and values of another prompt."""
    first = shared_prompts._first_rows
    with torch.no_grad():
        plain = read_shared(model, batch, "logits")
        monkeypatch.setattr(shared_prompts, "_first_rows", lambda place: first(place).roll(1))
        other = read_shared(model, batch, "logits")
    assert float((plain - other)[batch.mask].abs().max()) > 1000 * ALLOWED


def test_each_prompt_passes_through_the_model_once(batch) -> None:
    model, seen = build("llama"), []
    model.model.embed_tokens.register_forward_hook(lambda m, a, out: seen.append(a[0].numel()))
    read_shared(model, batch, "logits")
    assert seen == [3 * 5, 12 * 5]  # without the padding in all, without the last token


def test_layers_that_are_computed_anew_have_no_cache_to_share() -> None:
    with pytest.raises(CovlawError, match="share_prompts and gradient_checkpointing are both on"):
        TrainConfig(share_prompts=True, gradient_checkpointing=True)
