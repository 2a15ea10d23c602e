"""Top-k and top-p: which tokens stay, against plain loops; margins nest; the gap allows them."""

import math
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from covlaw.llm.config.train_config import TrainConfig
from covlaw.llm.model.log_prob import token_log_prob
from covlaw.llm.sampling.engine import TransformersEngine
from covlaw.llm.sampling.engine_gap import log_prob_gap, rounding_gap
from covlaw.llm.sampling.truncation import OFF, Truncation, kept, sampling_log_prob

probabilities = st.lists(st.integers(1, 50), min_size=2, max_size=8).map(
    lambda masses: [m / sum(masses) for m in masses]
)


def by_loops(shares: list[float], top_k: int, top_p: float) -> set[int]:
    """Tokens in falling order until k are there, then until their mass is p of that."""
    order = sorted(range(len(shares)), key=lambda v: -shares[v])
    if top_k:
        least = shares[order[min(top_k, len(order)) - 1]]
        order = [v for v in order if shares[v] >= least]
    total, held, found = sum(shares[v] for v in order), 0.0, set()
    for v in order:
        if found and held >= top_p * total:
            break
        found.add(v)
        held += shares[v]
    return found


@given(probabilities, st.integers(0, 9), st.sampled_from([1.0, 0.9137, 0.5231, 0.0711]))
def test_kept_tokens_are_those_of_plain_loops(shares, top_k, top_p) -> None:
    log_prob = torch.tensor(shares, dtype=torch.float64).log()
    keep = kept(log_prob, Truncation(top_k, top_p))
    expected = by_loops(shares, top_k, top_p)
    found = {v for v in range(len(shares)) if keep[v]}
    # tied tokens at the edge of top-p may change places: as many, of the same probabilities
    assert sorted(shares[v] for v in found) == sorted(shares[v] for v in expected)


def test_a_hand_worked_cut() -> None:
    logits = torch.tensor([0.1, 0.4, 0.2, 0.3]).log()
    assert kept(logits, Truncation(top_k=2)).tolist() == [False, True, False, True]
    # the two hold .4/.7 = .571 and .429: the first alone has at least .5
    assert kept(logits, Truncation(2, 0.5)).tolist() == [False, True, False, False]
    assert kept(logits, Truncation(2, 0.6)).tolist() == [False, True, False, True]
    assert kept(logits, Truncation(top_p=0.75)).tolist() == [False, True, True, True]


@given(probabilities, st.integers(0, 4), st.sampled_from([1.0, 0.9, 0.5]))
def test_margins_nest_and_the_likeliest_always_stays(shares, top_k, top_p) -> None:
    log_prob = torch.tensor(shares).log()
    sets = [kept(log_prob, Truncation(top_k, top_p), s) for s in (-0.5, -0.1, 0.0, 0.1, 0.5)]
    for small, large in pairwise(sets):
        assert bool((large | ~small).all())
    assert all(bool(s[log_prob.argmax()]) for s in sets)


def test_the_rest_is_renormalised_and_nothing_changes_when_off() -> None:
    logits = torch.randn(5, 30, generator=torch.Generator().manual_seed(0))
    cut = sampling_log_prob(logits, 0.7, Truncation(top_k=4, top_p=0.8))
    # float32 softmax of 30 terms
    assert (cut.exp().sum(-1) - 1).abs().max() < 30 * 2.0**-24
    assert bool((cut.isfinite().sum(-1) <= 4).all())
    plain = torch.log_softmax(logits / 0.7, -1)
    assert torch.equal(sampling_log_prob(logits, 0.7, OFF), plain)
    both = cut.isfinite()
    shift = (cut - plain)[both].reshape(-1)
    assert bool((shift >= 0).all())


@pytest.mark.parametrize("truncation", [Truncation(top_k=5), Truncation(top_p=0.7)])
def test_the_gap_of_an_engine_in_sync_is_rounding(policy, truncation) -> None:
    model, tokenizer = policy
    config = TrainConfig(top_k=truncation.top_k, top_p=truncation.top_p)
    engine = TransformersEngine(model, tokenizer, truncation)
    batch = engine.sample(["1 + 2 = ?", "3 -"], 50, 6, 1.0, torch.Generator().manual_seed(0))
    with torch.no_grad():
        whole = token_log_prob(model, batch)
    assert (whole - batch.log_prob).abs().max() > 0.1  # what renormalisation adds
    assert log_prob_gap(whole, batch, model, config).largest <= rounding_gap(config, model)
    wrong = batch._replace(log_prob=batch.log_prob - 0.5 * batch.mask)
    found = log_prob_gap(whole, wrong, model, config)
    assert found.largest == pytest.approx(0.5, abs=0.01)
    assert found.rms == pytest.approx(0.5, abs=0.01)
    with torch.no_grad():
        model.lm_head.weight.mul_(-1)  # tokens that were likely are cut now
    assert math.isinf(log_prob_gap(whole, batch, model, config).rms)
