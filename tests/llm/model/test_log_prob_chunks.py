"""Chunked log-probs and entropies are the plain ones: values, gradients, derivatives; any head."""

import logging

import pytest
import torch
import transformers
from torch import Tensor, nn

from covlaw.llm.model import chunked_head
from covlaw.llm.model.chunked_head import chosen_values, head_values
from covlaw.llm.model.log_prob import directional_log_prob, token_values
from covlaw.llm.model.output_head import output_head
from covlaw.llm.model.parameters import trainable
from covlaw.llm.sampling.engine import Completions
from covlaw.theory._numerics.rounding import rounding

WIDTH, VOCABULARY, TOKENS, TEMPERATURE = 16, 50, 23, 0.7
SMALL = 4 * VOCABULARY
"""Logits a chunk: four tokens."""


@pytest.fixture(params=[True, False], ids=["bias", "no-bias"])
def head(request) -> nn.Linear:
    torch.manual_seed(0)
    return nn.Linear(WIDTH, VOCABULARY, bias=request.param, dtype=torch.float64)


def inputs() -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    hidden = torch.randn(TOKENS, WIDTH, generator=generator, dtype=torch.float64)
    target = torch.randint(VOCABULARY, (TOKENS,), generator=generator)
    return hidden, target, torch.randn(2, TOKENS, generator=generator, dtype=torch.float64)


def values_and_gradients(head: nn.Linear, chunked: bool, entropy: bool) -> list[Tensor]:
    hidden, target, upstream = inputs()
    hidden.requires_grad_()
    if chunked:
        values = head_values(head, hidden, target, TEMPERATURE, entropy)
    else:
        values = chosen_values(torch.log_softmax(head(hidden) / TEMPERATURE, -1), target, entropy)
    leaves = [hidden, *head.parameters()]
    found = torch.autograd.grad(values, leaves, upstream[: len(values)])
    return [values.detach(), *found]


@pytest.mark.parametrize("entropy", [False, True])
@pytest.mark.parametrize("size", [1, SMALL, 10**6])
def test_the_chunked_head_is_the_plain_one(
    head, monkeypatch: pytest.MonkeyPatch, size: int, entropy: bool
) -> None:
    monkeypatch.setitem(chunked_head.CHUNK, "cpu", size)
    plain, chunked = (values_and_gradients(head, c, entropy) for c in (False, True))
    hidden, _, upstream = inputs()
    weight = head.weight.detach()
    logit = (hidden.abs() @ weight.abs().T).max() / TEMPERATURE + 1 / TEMPERATURE
    operations = 4 * (WIDTH + VOCABULARY + 8)
    # a logit errs by γ·Σ|h||w|, log-softmax and entropy by that once more
    for one, other in zip(plain[0], chunked[0], strict=True):
        assert ((one - other).abs() <= rounding(2 * logit + 4, operations)).all()
    # |∂/∂z| ≤ 1 for a log-prob and ≤ log V for an entropy; every one meets |h| or |w| and is added
    slope = upstream.abs().sum() * 2 * (1 + logit) / TEMPERATURE
    operand = max(hidden.abs().max(), weight.abs().max(), torch.tensor(1.0))
    for one, other in zip(plain[1:], chunked[1:], strict=True):
        assert ((one - other).abs() <= rounding(slope * operand, operations + 4 * TOKENS)).all()
        assert one.abs().max() > 1e-3  # the comparison can fail


def test_no_product_holds_more_than_a_chunk(head, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []

    def watched(*operands: Tensor) -> Tensor:
        sizes.append(nn.functional.linear(*operands).numel())
        return nn.functional.linear(*operands)

    monkeypatch.setattr(chunked_head, "linear", watched)
    monkeypatch.setitem(chunked_head.CHUNK, "cpu", SMALL)
    values_and_gradients(head, True, True)
    assert max(sizes) == SMALL
    assert len(sizes) == 2 * -(-TOKENS // 4)  # once forward, once on the way back


def test_a_frozen_head_gets_no_gradient_and_hidden_states_do(head) -> None:
    head.requires_grad_(False)
    hidden, target, _ = inputs()
    hidden.requires_grad_()
    head_values(head, hidden, target, 1.0).sum().backward()
    assert hidden.grad is not None
    assert head.weight.grad is None


def test_no_tokens_have_no_values(head) -> None:
    hidden, target, _ = inputs()
    assert head_values(head, hidden[:0], target[:0], 1.0, True).shape == (2, 0)


def test_bfloat16_products_sum_weight_gradients_in_float32(monkeypatch) -> None:
    """600 chunks of equal products: a sum in eight bits would stop growing long before."""
    monkeypatch.setitem(chunked_head.CHUNK, "cpu", 1)
    head = nn.Linear(4, 3, bias=False)
    nn.init.zeros_(head.weight)
    hidden, target = torch.ones(600, 4), torch.zeros(600, dtype=torch.int64)
    with torch.autocast("cpu", torch.bfloat16):
        head_values(head, hidden, target, 1.0).sum().backward()
    exact = torch.tensor([2.0, -1.0, -1.0]) * 200
    # 1/3 in eight bits errs by 2^-9 of itself
    assert (head.weight.grad - exact[:, None]).abs().max() <= 2.0**-9 * 400 * 2


KINDS = {
    "qwen2": (transformers.Qwen2Config, transformers.Qwen2ForCausalLM),
    "llama": (transformers.LlamaConfig, transformers.LlamaForCausalLM),
    "phi": (transformers.PhiConfig, transformers.PhiForCausalLM),  # its head has a bias
    "gpt2": (transformers.GPT2Config, transformers.GPT2LMHeadModel),
    "gemma2": (transformers.Gemma2Config, transformers.Gemma2ForCausalLM),
    "cohere": (transformers.CohereConfig, transformers.CohereForCausalLM),
    "granite": (transformers.GraniteConfig, transformers.GraniteForCausalLM),
}
PLAIN = ["qwen2", "llama", "gpt2", "phi"]


def build(kind: str, **options) -> nn.Module:
    shape = {
        "vocab_size": VOCABULARY,
        "hidden_size": 16,
        "intermediate_size": 24,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
    }
    if kind == "gpt2":
        shape = {"vocab_size": VOCABULARY, "n_embd": 16, "n_layer": 1, "n_head": 2}
    tokens = {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 2}
    config, model = KINDS[kind]
    torch.manual_seed(0)
    return model(config(**shape, **tokens, initializer_range=0.3, **options)).eval()


def rows() -> Completions:
    """Prompts and completions of unequal lengths."""
    generator = torch.Generator().manual_seed(2)
    lengths, starts = torch.tensor([6, 1, 3, 6, 2]), torch.tensor([0, 2, 1, 3, 0])
    tokens = torch.randint(VOCABULARY, (5, 6), generator=generator)
    prompts = torch.randint(VOCABULARY, (5, 4), generator=generator)
    mask = torch.arange(6)[None] < lengths[:, None]
    before = torch.arange(4)[None] >= starts[:, None]
    zeros = torch.zeros(5, 6)
    return Completions(prompts, before, tokens, mask, zeros, torch.arange(5), [""] * 5)


def everything(model: nn.Module) -> list[Tensor]:
    """Log-probs, entropies, gradients and directional derivatives of a model."""
    batch, generator = rows(), torch.Generator().manual_seed(3)
    model.zero_grad()
    values = token_values(model, batch, TEMPERATURE, entropy=True)
    weights = torch.randn(batch.mask.shape, generator=generator)
    (weights * values.log_prob + values.entropy).sum().backward()
    own = trainable(model)
    direction = {n: torch.randn(p.shape, generator=generator) for n, p in own.items()}
    slope = directional_log_prob(model, batch, direction, TEMPERATURE)
    gradient = torch.cat([p.grad.flatten() for p in own.values()])
    return [values.log_prob.detach(), values.entropy.detach(), gradient, slope]


@pytest.mark.parametrize("tie", [True, False], ids=["tied", "untied"])
@pytest.mark.parametrize("kind", PLAIN)
def test_models_give_the_same_in_chunks(kind: str, tie: bool, monkeypatch) -> None:
    model = build(kind, tie_word_embeddings=tie and kind != "phi")
    assert output_head(model) is not None
    plain = everything(model)
    monkeypatch.setitem(chunked_head.CHUNK, "cpu", SMALL)
    calls: list[int] = []
    apply = chunked_head.Head.log_softmax
    monkeypatch.setattr(
        chunked_head.Head, "log_softmax", lambda s, h: calls.append(len(h)) or apply(s, h)
    )
    chunked = everything(model)
    assert calls
    assert max(calls) == 4
    # sums of V = 50 logits' terms, d = 16 wide, over 18 tokens, each rounded to float32
    operations = 4 * (VOCABULARY + 16 + 18)
    for one, other in zip(plain, chunked, strict=True):
        assert (one - other).norm() <= operations * 2.0**-24 * one.norm()


@pytest.mark.parametrize("kind", ["gemma2", "cohere", "granite"])
def test_capped_or_scaled_logits_take_the_plain_path_and_say_so(
    kind: str, monkeypatch, caplog: pytest.LogCaptureFixture
) -> None:
    extra = {"head_dim": 8} if kind == "gemma2" else {}
    extra |= {"logits_scaling": 2.0} if kind == "granite" else {}
    model = build(kind, **extra)
    with caplog.at_level(logging.INFO, "covlaw"):
        assert output_head(model) is None
        assert output_head(model) is None
    assert len([r for r in caplog.records if type(model).__name__ in r.getMessage()]) == 1
    monkeypatch.setitem(chunked_head.CHUNK, "cpu", 1)
    batch = rows()
    ids = torch.cat([batch.prompt_tokens, batch.tokens], 1)
    mask = torch.cat([batch.prompt_mask, batch.mask], 1)
    place = (mask.cumsum(1) - 1).clamp(min=0)
    with torch.no_grad():
        logits = model(input_ids=ids, attention_mask=mask.long(), position_ids=place).logits
        found = token_values(model, batch).log_prob
    own = logits[:, 3:-1].log_softmax(-1).gather(2, batch.tokens[..., None])[..., 0]
    gap = (found - own)[batch.mask].abs().max()
    assert gap <= 4 * (VOCABULARY + 16) * 2.0**-24 * own[batch.mask].abs().max()


def test_weights_so_small_that_a_cap_would_not_show_do_not_hide_it() -> None:
    model = build("gemma2", head_dim=8)
    with torch.no_grad():
        model.get_output_embeddings().weight.mul_(1e-6)
    assert output_head(model) is None
