"""What every sampling engine promises; asked of transformers, and of vLLM where it is installed."""

from collections.abc import Iterator
from copy import deepcopy
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch

from covlaw.llm.model.log_prob import token_log_prob
from covlaw.llm.model.policy import load_policy
from covlaw.llm.sampling.engine import Completions, TransformersEngine
from covlaw.llm.sampling.truncation import OFF, Truncation, sampling_log_prob

PROMPTS = ("1 + 2 = ?", "3 -", "9 - 4 = ? the answer")
BOUND = 100 * 2.0**-23 * 10
"""Two float32 evaluations of logits of size ~10 through ~100-term sums."""

needs_vllm = [
    pytest.mark.vllm,
    pytest.mark.skipif(find_spec("vllm") is None, reason="needs vLLM: make test-vllm"),
]


@pytest.fixture(scope="module")
def started(served_folder: Path) -> Iterator[dict[str, Any]]:
    """One engine of each kind for all tests; they are synced anew for each."""
    engines: dict[str, Any] = {}
    yield engines
    engines.clear()


def start(name: str, folder: Path, policy: tuple[Any, Any]) -> Any:
    if name == "transformers":
        return TransformersEngine(*policy)
    from covlaw.llm.sampling.vllm.engine import VllmEngine
    from covlaw.llm.sampling.vllm.options import VllmOptions

    options = VllmOptions.complete({"max_model_len": 32}, "cpu")
    return VllmEngine(str(folder), policy[1], options)


@pytest.fixture(params=["transformers", pytest.param("vllm", marks=needs_vllm)])
def engine(request: pytest.FixtureRequest, started: dict[str, Any], served_folder: Path) -> Any:
    """An engine in sync with the fresh policy in `engine.policy`."""
    policy = load_policy(str(served_folder))
    if request.param == "transformers" or request.param not in started:
        started[request.param] = start(request.param, served_folder, policy)
    chosen = started[request.param]
    chosen.policy, chosen.truncation = policy[0], OFF
    chosen.sync(policy[0])
    return chosen


def draw(engine: Any, n: int = 50, tokens: int = 8, temperature: float = 1.0, seed: int = 0, **own):
    generator = torch.Generator().manual_seed(seed)
    prompts = own.get("prompts", PROMPTS)
    found: Completions = engine.sample(prompts, n, tokens, temperature, generator)
    return found


def test_rows_follow_the_prompts(engine) -> None:
    batch = draw(engine, n=7)
    assert batch.prompt.tolist() == [k for k in range(3) for _ in range(7)]
    assert len(batch.text) == len(batch.tokens) == 21
    for k, prompt in enumerate(PROMPTS):
        ids = engine.tokenizer(prompt)["input_ids"]
        for row in range(7 * k, 7 * k + 7):
            assert batch.prompt_tokens[row][batch.prompt_mask[row]].tolist() == ids
    assert batch.tokens.dtype == torch.int64
    assert batch.log_prob.dtype == torch.float32


def test_rows_end_with_the_end_of_sequence_or_are_cut(engine) -> None:
    batch, eos = draw(engine, n=200), engine.tokenizer.eos_token_id
    width = torch.arange(batch.tokens.shape[1])
    assert torch.equal(batch.mask, width < batch.lengths[:, None])  # padded on the right only
    ended = (batch.tokens == eos) & batch.mask
    last = batch.tokens.gather(1, batch.lengths[:, None] - 1)[:, 0]
    assert torch.equal(ended.sum(1) == 1, last == eos)
    assert bool((ended.sum(1) <= 1).all())
    assert bool(((last == eos) | (batch.lengths == 8)).all())
    assert 0 < int((last == eos).sum()) < len(last)
    assert bool((batch.tokens[~batch.mask] == engine.tokenizer.pad_token_id).all())
    assert not bool(batch.log_prob[~batch.mask].any())


def test_a_completion_may_be_cut_after_one_token(engine) -> None:
    batch = draw(engine, tokens=1)
    assert batch.tokens.shape == (150, 1)
    assert bool(batch.mask.all())


def test_an_empty_completion_is_the_end_of_sequence_alone(engine) -> None:
    """The likeliest first token trades places with the end of sequence; nearly no temperature."""
    eos = engine.tokenizer.eos_token_id
    ids = torch.tensor([engine.tokenizer("3 -")["input_ids"]])
    with torch.no_grad():
        best = int(engine.policy(ids).logits[0, -1].argmax())
        head = engine.policy.lm_head.weight
        head[[best, eos]] = head[[eos, best]]
    engine.sync(engine.policy)
    batch = draw(engine, n=5, temperature=0.01, prompts=["3 -"])
    assert batch.tokens.tolist() == [[eos]] * 5
    assert batch.mask.tolist() == [[True]] * 5
    assert batch.text == [""] * 5


@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_log_probs_are_the_trainers(engine, temperature) -> None:
    batch = draw(engine, temperature=temperature)
    with torch.no_grad():
        trainer = token_log_prob(engine.policy, batch, temperature)
    assert (trainer - batch.log_prob).abs().max() < BOUND


@pytest.mark.parametrize("truncation", [OFF, Truncation(top_k=6), Truncation(top_p=0.8)])
def test_token_frequencies_are_the_policys(engine, truncation) -> None:
    n = 3000
    engine.truncation = truncation
    batch = draw(engine, n=n, tokens=1, temperature=0.7, prompts=PROMPTS[:2])
    for k, prompt in enumerate(PROMPTS[:2]):
        ids = torch.tensor([engine.tokenizer(prompt)["input_ids"]])
        with torch.no_grad():
            logits = engine.policy(ids).logits[0, -1]
        log_prob = sampling_log_prob(logits, 0.7, truncation).double()
        possible = log_prob.isfinite()
        drawn = batch.tokens[batch.prompt == k, 0]
        assert bool(possible[drawn].all())
        expected = n * log_prob[possible].exp()
        counts = torch.bincount(drawn, minlength=len(log_prob))[possible]
        chi = ((counts - expected).square() / expected).sum()
        # χ² with V−1 degrees: mean V−1, variance 2(V−1) + Σ1/e_i for rare tokens; five deviations
        freedom = len(expected) - 1
        assert chi < freedom + 5 * (2 * freedom + float((1 / expected).sum())) ** 0.5
        engines_own = batch.log_prob[batch.prompt == k, 0]
        assert (engines_own - log_prob[drawn]).abs().max() < BOUND


def test_the_seed_decides_and_global_streams_stay(engine) -> None:
    state = torch.get_rng_state()
    first, again, other = draw(engine), draw(engine), draw(engine, seed=1)
    assert torch.equal(first.tokens, again.tokens)
    assert torch.equal(first.log_prob, again.log_prob)
    assert first.text == again.text
    assert first.text != other.text
    assert torch.equal(state, torch.get_rng_state())


def test_completions_of_a_prompt_are_drawn_apart(engine) -> None:
    batch = draw(engine, n=100)
    assert len(set(batch.text)) > 100


def moved(policy: Any, size: float) -> Any:
    """A copy with every parameter moved."""
    other, generator = deepcopy(policy), torch.Generator().manual_seed(5)
    with torch.no_grad():
        for p in other.parameters():
            p.add_(size * torch.randn(p.shape, generator=generator))
    return other


def test_after_a_sync_the_engine_is_the_new_policy(engine) -> None:
    if isinstance(engine, TransformersEngine):
        pytest.skip("samples from the trainer's module itself")
    other = moved(engine.policy, 0.05)
    stale = draw(engine)
    with torch.no_grad():
        assert (token_log_prob(other, stale) - stale.log_prob).abs().max() > 100 * BOUND
        engine.sync(other)
        fresh = draw(engine)
        assert (token_log_prob(other, fresh) - fresh.log_prob).abs().max() < BOUND
        for p in other.parameters():
            p.mul_(0.5)  # the engine has weights of its own: nothing changes before a sync
    assert torch.equal(draw(engine).log_prob, fresh.log_prob)


def test_common_random_numbers_couple_two_policies(engine) -> None:
    """What audits rely on: with the same seeds, a small update changes few completions."""
    before, rows = draw(engine, n=200), 600
    near = moved(engine.policy, 1e-3)
    if isinstance(engine, TransformersEngine):
        engine = TransformersEngine(near, engine.tokenizer)
    engine.sync(near)
    coupled, independent = draw(engine, n=200).text, draw(engine, n=200, seed=1).text
    same, chance = (
        sum(a == b for a, b in zip(before.text, t, strict=True)) for t in (coupled, independent)
    )
    # both counts are sums of `rows` indicators: standard deviation at most √rows / 2 each
    assert same - chance > 5 * (rows / 2) ** 0.5
    assert same < rows
