"""Every symbolic residual is exactly 0, and is not for the false variant of the same claim."""

import pytest
import sympy as sp

from covlaw.theory.statements import STATEMENTS
from covlaw.theory.statements.gradients import _symbolic_kernel as symbolic_kernel
from covlaw.theory.statements.sampling import _symbolic_pooling as symbolic_pooling
from covlaw.theory.statements.sampling import _symbolic_sampling as symbolic_sampling
from covlaw.theory.statements.tilts import _symbolic_cumulants as symbolic_cumulants
from covlaw.theory.statements.tilts import _symbolic_tilt as symbolic_tilt

PROVED = {"T1": 2, "T2": 5, "T3": 5, "T4": 6, "T11": 4, "T19": 4, "T20": 4, "T21": 3, "T22": 2}
PROVED |= {"T52": 1, "T53": 1, "T55": 3}


@pytest.mark.parametrize(("statement_id", "count"), PROVED.items())
def test_every_residual_is_exactly_zero(statement_id: str, count: int) -> None:
    proofs = STATEMENTS[statement_id].proofs
    assert proofs is not None
    assert len(proofs()) == count
    for proof in proofs():
        assert proof.residual == 0, proof.claim


def somewhere_nonzero(residual: sp.Expr) -> bool:
    """Whether an expression differs from 0 at a rational point."""
    primes = [sp.Rational(sp.prime(k + 3), 97) for k in range(len(residual.free_symbols))]
    point = dict(zip(sorted(residual.free_symbols, key=str), primes, strict=True))
    return bool(sp.N(residual.subs(point), 30) != 0)


@pytest.mark.parametrize(
    "residual",
    [
        lambda: symbolic_tilt.derivative_residual(at_zero=True),
        lambda: symbolic_tilt.finite_residual(normalised=False),
        lambda: symbolic_kernel.one_prompt_residual(3, power=1),
        lambda: symbolic_kernel.two_arm_residual(factor=1),
        lambda: symbolic_kernel.two_prompt_residual(power=1),
    ],
    ids=["T1 at η = 0 only", "T2 without E e^{ηs}", "T11 π", "T11 p(1−p)", "T11 D"],
)
def test_false_variants_leave_a_residual(residual) -> None:
    assert somewhere_nonzero(residual())


FALSE = {
    "T3 order 3": lambda: symbolic_cumulants.cumulant_residual(3, central_moment=True),
    "T3 order 4": lambda: symbolic_cumulants.cumulant_residual(4, central_moment=True),
    "T4 form": lambda: symbolic_cumulants.indicator_residual(weight=1),
    "T4 maximum": lambda: symbolic_cumulants.maximum_residual(sp.Rational(9, 100)),
    "T4 equality": lambda: symbolic_cumulants.bernoulli_residual(sp.sqrt(3) / 20),
    "T19 any K": lambda: symbolic_sampling.bias_residual_any_size(plug_in=True),
    "T20": lambda: symbolic_sampling.leave_one_out_residual(3, own=True),
    "T20 any K": lambda: symbolic_sampling.leave_one_out_any_size(divisor_shift=0),
    "T21": lambda: symbolic_sampling.variance_residual(3, normal=True),
    "T22": lambda: symbolic_pooling.pooling_residual(2, 2, with_means=False),
}


@pytest.mark.parametrize("name", FALSE)
def test_false_variants_of_more_claims_leave_a_residual(name: str) -> None:
    assert sp.simplify(FALSE[name]()) != 0


@pytest.mark.parametrize("order", [1, 2])
def test_up_to_the_second_order_a_central_moment_is_the_cumulant(order: int) -> None:
    assert symbolic_cumulants.cumulant_residual(order, central_moment=True) == 0


def test_n_arms_false_variants_leave_a_residual() -> None:
    assert symbolic_tilt.derivative_residual_any_arms(centred=False) != 0
    assert all(r != 0 for r in symbolic_tilt.finite_residual_any_arms(normalised=False))
    assert symbolic_kernel.any_arms_residual(power=1) != 0
    assert symbolic_cumulants.moment_rule(shift=2) != 0


def test_the_remaining_factors_of_t4_have_the_sign_that_its_proof_needs() -> None:
    p, a = sp.symbols("p a", real=True)
    assert float(sp.Rational(1, 2) + sp.sqrt(3) / 3) > 1  # q − p > 0 on [0, 1]
    assert 0 < symbolic_cumulants.P_BEST < sp.Rational(1, 4)  # the maximum is in the first case
    # 1 − 2p(1 + a) is linear in a and in p: its corners on p ≤ 1/4, a ≤ 1 are ≥ 0
    factor = 1 - 2 * p * (1 + a)
    corners = [(x, y) for x in (0, sp.Rational(1, 4)) for y in (0, 1)]
    assert min(factor.subs({p: x, a: y}) for x, y in corners) == 0
    # p > 1/2 leaves p(1−p)·a(1−a) ≤ 1/16, below the constant
    assert sp.Rational(1, 16) < sp.Rational(3, 32) < sp.sqrt(3) / 18


@pytest.mark.parametrize("samples", [2, 3, 4])
def test_the_plug_in_is_low_by_one_kth_of_the_covariance(samples: int) -> None:
    mu11, mu10, mu01 = sp.symbols("mu11 mu10 mu01", real=True)
    residual = symbolic_sampling.bias_residual(samples, divisor=samples)
    assert sp.simplify(residual + (mu11 - mu10 * mu01) / samples) == 0
