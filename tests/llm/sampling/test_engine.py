"""The sampling engine draws from the policy it is given, and its log-probs are the trainer's."""

import pytest
import torch

from covlaw.llm.loop.group_shares import truncated
from covlaw.llm.model.ends import is_end
from covlaw.llm.model.log_prob import (
    chunks,
    directional_log_prob,
    distinct,
    sequence_log_prob,
    token_log_prob,
)
from covlaw.llm.model.parameters import at, copy_of
from covlaw.llm.sampling.engine import TransformersEngine


@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_sampled_log_probs_are_the_trainers(policy, draw, temperature) -> None:
    batch = draw(temperature=temperature)
    trainer = token_log_prob(policy[0], batch, temperature)
    # two float32 evaluations (cached, one pass) of logits of size ~10 through ~100-term sums
    bound = 100 * 2.0**-23 * 10
    assert (trainer - batch.log_prob).abs().max() < bound
    assert not bool((trainer * ~batch.mask).any())


def test_completions_end_at_the_first_end_of_sequence(policy, draw) -> None:
    batch, eos = draw(n=200), policy[1].eos_token_id
    ended = (batch.tokens == eos) & batch.mask
    assert (ended.sum(1) <= 1).all()
    last = batch.mask.sum(1) - 1
    finished = batch.tokens.gather(1, last[:, None])[:, 0] == eos
    assert bool((finished | (batch.lengths == batch.tokens.shape[1])).all())
    assert 0 < int(finished.sum()) < len(finished)
    assert not any("<" in text for text in batch.text)


def test_token_frequencies_are_the_policys(policy, draw) -> None:
    n = 4000
    prompts = ["1 + 2 = ?", "3 -"]
    batch = draw(n=n, tokens=1, prompts=prompts)
    model, tokenizer = policy
    for k, prompt in enumerate(prompts):
        ids = tokenizer(prompt, return_tensors="pt")["input_ids"]
        with torch.no_grad():
            expected = torch.softmax(model(ids).logits[0, -1].double(), 0)
        counts = torch.bincount(batch.tokens[batch.prompt == k, 0], minlength=len(expected))
        chi = ((counts - n * expected).square() / (n * expected)).sum()
        # χ² with V−1 degrees: mean V−1, variance 2(V−1); five standard deviations
        freedom = len(expected) - 1
        assert chi < freedom + 5 * (2 * freedom) ** 0.5


def test_the_same_seed_draws_the_same(policy, draw) -> None:
    first, again, other = draw(), draw(), draw(seed=1)
    assert torch.equal(first.tokens, again.tokens)
    assert first.text == again.text
    assert first.text != other.text


def test_prompt_padding_changes_nothing(policy, draw) -> None:
    batch = draw()
    alone = batch.rows((batch.prompt == 1).nonzero()[:, 0])
    unpadded = alone._replace(
        prompt_tokens=alone.prompt_tokens[:, -2:], prompt_mask=alone.prompt_mask[:, -2:]
    )
    assert bool(unpadded.prompt_mask.all())
    padded, bare = (sequence_log_prob(policy[0], b) for b in (alone, unpadded))
    assert (padded - bare).abs().max() < 8 * 100 * 2.0**-23 * 10


def test_chunks_do_not_change_log_probs(policy, draw) -> None:
    batch = draw()
    whole = sequence_log_prob(policy[0], batch, rows=1000)
    parts = sequence_log_prob(policy[0], batch, rows=7)
    assert (whole - parts).abs().max() < 8 * 100 * 2.0**-23 * 10
    assert sum(len(part.text) for part in chunks(batch, 7)) == len(batch.text)


def test_distinct_rows_stand_for_all(policy, draw) -> None:
    batch = draw(n=300, tokens=2)
    rows, place = distinct(batch)
    assert len(rows.text) < len(batch.text)
    assert [rows.text[i] for i in place.tolist()] == batch.text
    assert torch.equal(rows.prompt[place], batch.prompt)
    keys = {(int(p), *t) for p, t in zip(rows.prompt, rows.tokens.tolist(), strict=True)}
    assert len(keys) == len(rows.text)


def test_forward_mode_derivative_agrees_with_central_differences(policy, draw) -> None:
    model, batch = policy[0], draw()
    # an untrained policy may sample the padding token, whose embedding is 0: the norm's slope is
    # 1/√eps there and central differences need another step size
    padded = ((batch.tokens == policy[1].pad_token_id) & batch.mask).any(1)
    batch = batch.rows((~padded).nonzero()[:, 0])
    own = copy_of(model)
    generator = torch.Generator().manual_seed(3)
    direction = {n: torch.randn(p.shape, generator=generator) for n, p in own.items()}
    derivative = directional_log_prob(model, batch, direction)

    def central(step: float) -> torch.Tensor:
        sides = []
        for sign in (1, -1):
            with at(model, {n: own[n] + sign * step * direction[n] for n in own}):
                sides.append(sequence_log_prob(model, batch))
        return (sides[0] - sides[1]) / (2 * step)

    wide, narrow = central(2e-3), central(1e-3)
    # halving the step leaves a quarter of the truncation error, i.e. a third of the difference;
    # float32 log-probs err by some 2e-5, which the quotient divides by the step
    tolerance = (wide - narrow).abs() / 3 + 2e-5 / 1e-3
    assert bool(((narrow - derivative).abs() < 2 * tolerance).all())
    assert tolerance.max() < 0.01 * derivative.abs().max()
    assert derivative.abs().max() > 1
    assert all(torch.equal(p, own[n]) for n, p in copy_of(model).items())


def test_common_random_numbers_couple_two_policies(policy, draw) -> None:
    """What audits rely on: with the same numbers, a small update changes few completions."""
    model, rows = policy[0], 600
    before = draw(n=rows // 3).text
    own = copy_of(model)
    generator = torch.Generator().manual_seed(11)
    near = {n: p + 1e-3 * torch.randn(p.shape, generator=generator) for n, p in own.items()}
    with at(model, near):
        coupled, independent = draw(n=rows // 3).text, draw(n=rows // 3, seed=1).text
    agree = [sum(a == b for a, b in zip(before, t, strict=True)) for t in (coupled, independent)]
    # both counts are sums of `rows` indicators: standard deviation at most √rows / 2 each
    assert agree[0] - agree[1] > 5 * (rows / 2) ** 0.5
    assert agree[0] < rows  # the update did change something


def test_rows_that_end_leave_the_others_alone(policy, draw) -> None:
    """Ended rows are dropped from the cache; the rest are what they would have been."""
    long, cut = draw(n=200, tokens=8), draw(n=200, tokens=5)
    width = cut.tokens.shape[1]
    assert torch.equal(long.tokens[:, :width] * cut.mask, cut.tokens * cut.mask)
    trainer = token_log_prob(policy[0], long)
    assert (trainer - long.log_prob).abs().max() < 100 * 2.0**-23 * 10


def test_rows_that_agree_are_computed_once(policy, draw) -> None:
    """One forward row a distinct beginning that goes on; what is drawn does not depend on it."""
    fed: list[int] = []
    hook = policy[0].register_forward_pre_hook(
        lambda _, __, inputs: fed.append(len(inputs["input_ids"])), with_kwargs=True
    )
    batch = draw(n=100, tokens=3)
    hook.remove()
    beginnings = [{(p, *t[:k]) for p, t, m in rows_of(batch) if m[: k + 1].all()} for k in range(3)]
    assert len(beginnings[1]) < 75 < len(beginnings[2]) < len(batch.text)
    assert fed == [len(distinct_ones) for distinct_ones in beginnings]


def rows_of(batch):
    return zip(batch.prompt.tolist(), batch.tokens.tolist(), batch.mask, strict=True)


def test_every_end_that_the_model_names_ends_a_completion(policy) -> None:
    """Chat models stop at several tokens: with one of them alone, completions ran on past it."""
    model, tokenizer = policy
    plain = TransformersEngine(model, tokenizer).sample(
        ["3 + 4 ="], 64, 8, 1.0, torch.Generator().manual_seed(0)
    )
    second = int(plain.tokens[:, 0].mode().values)
    assert second != tokenizer.eos_token_id
    own = model.generation_config.eos_token_id
    model.generation_config.eos_token_id = [tokenizer.eos_token_id, second]
    try:
        engine = TransformersEngine(model, tokenizer)
        assert engine.ends == (tokenizer.eos_token_id, second)
        batch = engine.sample(["3 + 4 ="], 64, 8, 1.0, torch.Generator().manual_seed(0))
    finally:
        model.generation_config.eos_token_id = own
    first = batch.tokens[:, 0] == second
    assert 0 < int(first.sum()) < 64
    assert bool((batch.lengths[first] == 1).all())
    assert bool(((is_end(batch.tokens, engine.ends) & batch.mask).sum(1) <= 1).all())
    assert torch.equal(truncated(batch, engine.ends) & (batch.lengths < 8), torch.zeros(64).bool())


def test_a_bfloat16_engine_samples_from_the_weights_of_its_last_sync(policy) -> None:
    """Its copy follows the policy at a sync, and only then."""
    model, tokenizer = policy
    engine = TransformersEngine(model, tokenizer, dtype="bfloat16")
    with torch.no_grad():
        for p in model.parameters():
            p.mul_(1.5)
    gaps = []
    for _ in range(2):
        drawn = engine.sample(["1 + 2 = ?", "3 -"], 8, 6, 1.0, torch.Generator().manual_seed(0))
        gap = token_log_prob(model, drawn) - drawn.log_prob
        gaps.append(float(gap.detach()[drawn.mask].square().mean().sqrt()))
        engine.sync(model)
    assert gaps[1] < gaps[0] / 4  # what is left is rounding to 8 bits
    assert all(p.dtype == torch.float32 for p in model.parameters())
    assert all(p.requires_grad for p in model.parameters())


def test_a_bfloat16_copy_is_made_without_one_in_float32(policy, monkeypatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a parameter was copied as it is")

    model = policy[0]
    monkeypatch.setattr(torch.nn.Parameter, "__deepcopy__", refuse)
    engine = TransformersEngine(*policy, dtype="bfloat16")
    halves = dict(engine.model.named_parameters(remove_duplicate=False))
    whole = dict(model.named_parameters(remove_duplicate=False))
    assert halves.keys() == whole.keys()
    assert all(torch.equal(halves[name], whole[name].bfloat16()) for name in whole)
    assert not any(half.requires_grad for half in halves.values())
    # what is tied stays so
    assert len({id(p) for p in halves.values()}) == len({id(p) for p in whole.values()})
    assert {p.dtype for p in model.parameters()} == {torch.float32}
