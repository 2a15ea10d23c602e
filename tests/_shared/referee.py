"""Referees: plain loops in exact rationals, sharing no code with the estimators they judge.

Tolerances bound the float64 error of a two-pass covariance. With K rows a prompt, R = max |r|,
R' = max |r − mean r| and likewise S, S' for the signal: a mean errs by at most γ_{2K+4}·R, the
same for all rows of a prompt, and only the product of two such errors survives the centring,
whereas each centred factor, product and addition adds a relative rounding of its own.
"""

from collections.abc import Iterable, Sequence
from fractions import Fraction

from torch import Tensor

from covlaw.theory._numerics.rounding import rounding

Numbers = Sequence[float]


def rationals(values: Tensor | Iterable[float]) -> list[Fraction]:
    """Floats as the rationals they are."""
    return [Fraction(float(v)) for v in values]


def rows_by_prompt(prompt: Tensor) -> dict[int, list[int]]:
    """Row numbers of each prompt, by ascending id."""
    rows: dict[int, list[int]] = {}
    for row, x in enumerate(prompt.tolist()):
        rows.setdefault(x, []).append(row)
    return dict(sorted(rows.items()))


def shares(count: int, weight: Tensor | None) -> list[Fraction]:
    """Weights that sum to 1: `weight` normalised exactly, or uniform."""
    if weight is None:
        return [Fraction(1, count)] * count
    raw = rationals(weight)
    return [w / sum(raw) for w in raw]


def covariances(
    values: Tensor, signal: Tensor, prompt: Tensor, mass: Tensor | None, exact: bool = True
) -> list[Fraction]:
    """Cov_x of one column with the signal, prompt by prompt: population, or (K−1) for samples."""
    out = []
    for rows in rows_by_prompt(prompt).values():
        weights = shares(len(rows), None if mass is None else mass[rows])
        r, s = rationals(values[rows]), rationals(signal[rows])
        mean_r = sum(w * x for w, x in zip(weights, r, strict=True))
        mean_s = sum(w * x for w, x in zip(weights, s, strict=True))
        total = sum(w * (x - mean_r) * (y - mean_s) for w, x, y in zip(weights, r, s, strict=True))
        out.append(total if mass is not None or not exact else total * len(rows) / (len(rows) - 1))
    return out


def mean_covariance(
    values: Tensor,
    signal: Tensor,
    prompt: Tensor,
    mass: Tensor | None = None,
    prompt_mass: Tensor | None = None,
) -> Fraction:
    """E_x Cov_x of one column with the signal."""
    parts = covariances(values, signal, prompt, mass)
    return sum(
        (w * c for w, c in zip(shares(len(parts), prompt_mass), parts, strict=True)), Fraction(0)
    )


def tolerance(
    values: Tensor, signal: Tensor, prompt: Tensor, prompt_mass: Tensor | None = None
) -> float:
    """Bound on the float64 error of `mean_covariance` (module docstring)."""
    groups = rows_by_prompt(prompt)
    total = 0.0
    for rows, share in zip(groups.values(), shares(len(groups), prompt_mass), strict=True):
        operations = 8 * (len(rows) + len(groups) + 4)
        (size_r, spread_r), (size_s, spread_s) = (_size(t[rows]) for t in (values, signal))
        means = float(rounding(size_r, operations)) * float(rounding(size_s, operations))
        # K/(K−1) ≤ 2 for samples
        total += 2 * float(share) * (float(rounding(spread_r * spread_s, operations)) + means)
    return total


def _size(values: Tensor) -> tuple[float, float]:
    return float(values.abs().max()), float(values.max() - values.min())
