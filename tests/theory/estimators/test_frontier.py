"""The frontier and the best of n: plain sums as referees, and what samples cannot show."""

from itertools import combinations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory.estimators.best_of_n import best_of_n
from covlaw.theory.estimators.frontier import FEWEST, frontier

EPS = 2.0**-52


def sample(prompts: int, size: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.uniform(size=(prompts * size, 3)), np.repeat(np.arange(prompts), size)


def test_it_is_the_self_normalised_mean_of_each_prompt() -> None:
    rewards, prompt = sample(4, 9)
    weights, strengths = np.array([1.0, 0.5, 0.0]), [0.0, 0.7, 2.0]
    found = frontier(rewards, prompt, weights, strengths)
    for row, strength in enumerate(strengths):
        means, kls = [], []
        for x in range(4):
            r = rewards[prompt == x]
            w = np.exp(strength * (r @ weights))
            share = w / w.sum()
            means.append(share @ r)
            kls.append(float(share @ np.log(share * len(share))))
            assert float(found.effective[row, x]) == pytest.approx(1 / (share**2).sum(), rel=1e-13)
        mean = np.mean(means, 0)
        error = np.std(means, 0, ddof=1) / 2
        assert found.values[row].tolist() == pytest.approx(mean.tolist(), rel=1e-13)
        assert found.standard_error[row].tolist() == pytest.approx(error.tolist(), rel=1e-12)
        assert float(found.kl[row]) == pytest.approx(np.mean(kls), rel=1e-12, abs=1e-15)


def test_it_stops_where_the_samples_end() -> None:
    """NaN from the first strength on at which the median prompt has fewer than four left."""
    rewards, prompt = sample(5, 8)
    found = frontier(rewards, prompt, [1.0, 1.0, 1.0], [0.0, 1.0, 50.0, 2.0, 60.0])
    gone = found.effective.median(1).values < FEWEST
    assert gone.tolist() == [False, False, True, False, True]
    assert torch.isnan(found.values[:, 0]).tolist() == [False, False, True, False, True]
    assert torch.isnan(found.kl).tolist() == [False, False, True, False, True]


def test_exact_probabilities_never_end_and_have_no_error() -> None:
    rewards, prompt = sample(2, 3)
    mass = np.tile([0.2, 0.3, 0.5], 2)
    found = frontier(rewards, prompt, [1.0, 0.0, 0.0], [0.0, 1e3], mass)
    assert bool(torch.isfinite(found.values).all())
    assert found.standard_error.abs().max() == 0
    best = [rewards[3 * x : 3 * x + 3, 0].max() for x in range(2)]
    assert float(found.values[1, 0]) == pytest.approx(np.mean(best), rel=1e-12)


@given(st.lists(st.integers(0, 3), min_size=2, max_size=7), st.data())
def test_best_of_n_is_the_mean_over_subsets(score: list[int], data: st.DataObject) -> None:
    n = data.draw(st.integers(1, len(score)))
    reward = [float(k * k) for k in range(len(score))]
    means = []
    for subset in combinations(range(len(score)), n):
        top = max(score[k] for k in subset)
        # a tie is broken at random among all completions of that score
        tied = [k for k in range(len(score)) if score[k] == top]
        means.append(sum(reward[k] for k in tied) / len(tied))
    found = best_of_n(torch.tensor(reward)[:, None], [float(s) for s in score], [3] * len(score), n)
    assert abs(float(found.estimate[0]) - np.mean(means)) <= 64 * EPS * max(reward)


def test_rows_may_come_in_any_order_and_prompts_be_ragged() -> None:
    rng = np.random.default_rng(1)
    prompt = np.repeat(["a", "b", "c"], [3, 5, 9])
    rewards, score = rng.uniform(size=(17, 2)), rng.integers(0, 4, 17).astype(float)
    shuffled = rng.permutation(17)
    one = best_of_n(rewards, score, prompt.tolist(), 3)
    other = best_of_n(rewards[shuffled], score[shuffled], prompt[shuffled].tolist(), 3)
    assert torch.allclose(one.per_prompt, other.per_prompt, rtol=1e-13, atol=0)


@pytest.mark.parametrize(
    ("words", "call"),
    [
        ("best of 4: prompt 0 has 3", lambda r, p: best_of_n(r, r[:, 0], p, 4)),
        ("best of 0: ", lambda r, p: best_of_n(r, r[:, 0], p, 0)),
        ("score has shape", lambda r, p: best_of_n(r, r, p, 1)),
        ("one finite number a reward", lambda r, p: frontier(r, p, [1.0], [1.0])),
        ("numbers ≥ 0", lambda r, p: frontier(r, p, [1.0, 1.0, 1.0], [-1.0])),
        ("rewards have shape", lambda r, p: frontier(r[:, 0], p, [1.0], [1.0])),
    ],
)
def test_mistakes_are_named(words: str, call) -> None:  # type: ignore[no-untyped-def]
    rewards, prompt = sample(2, 3)
    with pytest.raises(CovlawError, match=words):
        call(torch.as_tensor(rewards), torch.as_tensor(prompt))
