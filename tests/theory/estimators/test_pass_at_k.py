"""pass@k is the share of k-subsets with a right completion, and unbiased for 1 − (1 − p)^k."""

from fractions import Fraction
from itertools import combinations
from math import comb

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory.estimators.pass_at_k import pass_at_k

EPS = 2.0**-52


@given(st.lists(st.booleans(), min_size=1, max_size=8), st.data())
def test_it_is_the_share_of_subsets_with_a_right_one(
    right: list[bool], data: st.DataObject
) -> None:
    k = data.draw(st.integers(1, len(right)))
    subsets = list(combinations(right, k))
    share = Fraction(sum(any(subset) for subset in subsets), len(subsets))
    found = pass_at_k(torch.tensor([right]), k).item()
    # k quotients and k products of numbers in [0, 1], one difference
    assert abs(found - float(share)) <= (2 * k + 2) * EPS


@pytest.mark.parametrize("p", [Fraction(1, 10), Fraction(1, 2), Fraction(9, 10)])
@pytest.mark.parametrize(("n", "k"), [(5, 1), (5, 3), (16, 8), (7, 7)])
def test_its_expectation_is_the_chance_of_one_in_k(p: Fraction, n: int, k: int) -> None:
    """Over c ~ Binomial(n, p); the plug-in 1 − (1 − c/n)^k is not, except at k = 1."""
    weight = [comb(n, c) * p**c * (1 - p) ** (n - c) for c in range(n + 1)]
    rows = torch.tensor([[j < c for j in range(n)] for c in range(n + 1)])
    chance = 1 - (1 - p) ** k
    expected = sum(float(w) * x for w, x in zip(weight, pass_at_k(rows, k).tolist(), strict=True))
    assert abs(expected - float(chance)) <= (n + 1) * (2 * k + 4) * EPS
    plug_in = sum(w * (1 - (1 - Fraction(c, n)) ** k) for c, w in enumerate(weight))
    assert (plug_in == chance) == (k == 1)


@pytest.mark.parametrize("k", [0, 4])
def test_more_than_there_are_is_refused(k: int) -> None:
    with pytest.raises(CovlawError, match=rf"pass@{k} needs 1 ≤ k ≤ 3"):
        pass_at_k(torch.ones(2, 3), k)


def test_half_right_is_refused() -> None:
    with pytest.raises(CovlawError, match="right or wrong"):
        pass_at_k(torch.full((1, 3), 0.5), 1)
