"""Sampling with our own loop, as a ratio to `model.generate` on the same prompts in the same run.

CPU time, best of interleaved rounds, so that a busy machine hurts both sides alike.
"""

import pytest
import torch
from timing import cpu_seconds

from covlaw.llm.model.policy import load_policy
from covlaw.llm.sampling.engine import TransformersEngine, encode_prompts
from covlaw.llm.tasks import load_task

pytestmark = pytest.mark.benchmark

PROMPTS, COMPLETIONS, TOKENS = 16, 24, 44  # as a step of cpu-demo


@torch.no_grad()
def compare(model, tokenizer, prompts: list[str], what: str) -> float:
    """Ratio of `generate`'s CPU time a token to ours."""
    ids, mask = encode_prompts(tokenizer, prompts, "cpu")
    engine, counts = TransformersEngine(model, tokenizer), [0, 0]

    def ours() -> None:
        generator = torch.Generator().manual_seed(0)
        drawn = engine.sample(prompts, COMPLETIONS, TOKENS, 1.0, generator)
        counts[0] = int(drawn.mask.sum())

    def plain() -> None:
        torch.manual_seed(0)
        sequences = model.generate(
            input_ids=ids,
            attention_mask=mask.long(),
            do_sample=True,
            temperature=1.0,
            top_k=0,
            top_p=1.0,
            max_new_tokens=TOKENS,
            num_return_sequences=COMPLETIONS,
        )
        ended = (sequences[:, ids.shape[1] :] == tokenizer.eos_token_id).cumsum(1)
        counts[1] = int((ended == 0).sum() + (ended.max(1).values > 0).sum())

    seconds = cpu_seconds(ours, plain)
    own, other = (s / count for s, count in zip(seconds, counts, strict=True))
    print(f"{what}: {own * 1e6:.0f} µs a token, generate {other * 1e6:.0f}: {other / own:.2f}×")
    # both draw 384 completions of the same distribution: counts agree to a few per cent
    assert abs(counts[0] / counts[1] - 1) < 0.1
    return other / own


@pytest.fixture
def base():
    """The base model (trained and cached if need be), its tokenizer, and prompts of its task."""
    model, tokenizer = load_policy("base")
    return model, tokenizer, [p.prompt for p in load_task("arithmetic", "train")][:PROMPTS]


def test_sampling_from_the_base_model_is_half_as_fast_again_as_generate(base) -> None:
    """Completions of one prompt share their beginnings, and those that have ended drop out."""
    assert compare(*base, "base model") >= 1.5


def test_sampling_is_no_slower_than_generate_where_nothing_is_shared(base) -> None:
    """Uniform tokens: hardly two rows agree beyond the first ones, and few end early."""
    model, tokenizer, prompts = base
    torch.nn.init.zeros_(model.lm_head.weight)
    assert compare(model, tokenizer, prompts, "uniform policy") >= 1.0
