"""F10, F11: the Polyak–Łojasiewicz property is said to survive sums and to hold for softmax."""

from collections.abc import Iterator
from fractions import Fraction
from itertools import count, pairwise, product

from covlaw.theory.counterexamples.claim import Case, Claim, Contrast


def _slopes() -> Iterator[Case]:
    """Even functions of |x| whose derivative is linear between 0, 1 and 2, and of slope e after."""
    for size in count(3):
        for first, second, end in product(range(1, size), repeat=3):
            if first + second + end == size:
                yield {"f'(0), f'(1), f'(2)": (0, first, second), "f'' beyond 2": end, "shift": 3}


def _sum_is_not_pl(case: Case) -> Contrast | None:
    """F is PL, f(x) + f(x − 3) is stationary at 3/2 but not minimal there.

    By symmetry the derivative of the sum vanishes at 3/2; its second derivative there is
    2f''(3/2), and where that is negative the point is a strict local maximum.
    """
    _, first, second = case["f'(0), f'(1), f'(2)"]
    bend = Fraction(2 * (second - first))
    modulus = pl_modulus((0, first, second), case["f'' beyond 2"])
    if not (modulus > 0 > bend):
        return None
    remark = f"f is PL with μ = {modulus}; f(x) + f(x − 3) has a strict local maximum at x = 3/2"
    return Contrast(modulus, bend, remark)


def pl_modulus(derivative: tuple[int, int, int], end: int) -> Fraction:
    """Largest μ with f'² ≥ 2μ(f − f(0)) for the even f with this piecewise linear f' on x ≥ 0.

    On a piece of slope k that starts at height F with derivative b, f'² − 2kf is constant, so
    f'²/(2f) = k + (b² − 2kF)/(2f) is monotone and least at an end of the piece.
    """
    pieces = [*pairwise(derivative), (derivative[-1], None)]
    height, ratios = Fraction(0), []
    for start, stop in pieces:
        slope = Fraction(end if stop is None else stop - start)
        if height > 0:
            ratios.append(Fraction(start) ** 2 / (2 * height))
        if stop is None or height == 0:
            ratios.append(slope)  # the limit at infinity, or at the minimum
        if stop is not None:
            height += Fraction(start + stop, 2)
            ratios.append(Fraction(stop) ** 2 / (2 * height))
    return min(ratios)


def _two_arms() -> Iterator[Case]:
    for n in count(3):
        yield {"π": (Fraction(1, n), Fraction(n - 1, n)), "r": (1, 0)}


def _softmax_modulus(case: Case) -> Contrast | None:
    """|∇J|²/(2·gap) = p²(1 − p)·d for two arms whose rewards differ by d (T45)."""
    p = case["π"][0]

    def modulus(p: Fraction) -> Fraction:
        return p**2 * (1 - p)

    uniform = modulus(Fraction(1, 2))
    if modulus(p) >= uniform:
        return None
    far = [f"{float(modulus(Fraction(1, 10**k))):.0e}" for k in (2, 4, 6)]
    remark = f"p = 1e-2, 1e-4, 1e-6 leave {', '.join(far)}: no modulus serves everywhere"
    return Contrast(uniform, modulus(p) - uniform, remark)


CLAIMS = (
    Claim(
        "F10",
        "PL is closed under sums: if each objective is PL then so is their sum",
        "PL modulus of f, and of f(x − 3)",
        "second derivative of f(x) + f(x − 3) at its stationary point 3/2",
        "f'(1) + f'(2) + the slope beyond; f even, f' piecewise linear",
        _slopes,
        _sum_is_not_pl,
    ),
    Claim(
        "F11",
        "A softmax bandit is globally PL",
        "PL modulus |∇J|²/(2·gap) at the uniform policy",
        "modulus at π minus that",
        "denominator of π; 2 arms",
        _two_arms,
        _softmax_modulus,
    ),
)
