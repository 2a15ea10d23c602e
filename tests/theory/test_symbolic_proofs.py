"""Every symbolic residual is exactly 0, and is not for the false variant of the same claim."""

import pytest
import sympy as sp

from covlaw.theory.statements import STATEMENTS
from covlaw.theory.statements.support import symbolic_kernel, symbolic_sampling, symbolic_tilt

PROVED = {"T1": 2, "T2": 3, "T11": 3, "T19": 3}


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


def test_n_arms_without_centring_leave_a_residual() -> None:
    assert symbolic_tilt.derivative_residual_any_arms(centred=False) != 0


@pytest.mark.parametrize("samples", [2, 3, 4])
def test_the_plug_in_is_low_by_one_kth_of_the_covariance(samples: int) -> None:
    mu11, mu10, mu01 = sp.symbols("mu11 mu10 mu01", real=True)
    residual = symbolic_sampling.bias_residual(samples, divisor=samples)
    assert sp.simplify(residual + (mu11 - mu10 * mu01) / samples) == 0
