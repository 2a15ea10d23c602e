"""How unevenly a parametrisation stretches advantages: the spectrum of the score kernel (T13)."""

from typing import NamedTuple

import torch
from torch import Tensor

from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory.worlds.world import World


class KernelSpectrum(NamedTuple):
    """K f = E_{x',y'}[⟨∇log π, ∇log π'⟩ f'] on L²₀(π): signals of mean 0 in every prompt."""

    eigenvalues: Tensor
    """(N − P,) ascending, over the completions of positive probability."""
    modes: Tensor
    """(N, N − P) eigenfunctions, orthonormal in E_x E_π; 0 where the probability is 0."""

    @property
    def smallest(self) -> Tensor:
        """k_min."""
        return self.eigenvalues[0]

    @property
    def largest(self) -> Tensor:
        """k_max."""
        return self.eigenvalues[-1]


def score_kernel_spectrum(world: World) -> KernelSpectrum:
    """Spectrum of the score kernel of an enumerated world, D(x) included; for small worlds.

    With B the √(D·π)-weighted scores (N, D), K is BB′ and the constants of a prompt are in its
    null space; the rest of its spectrum is that of K on L²₀(π). A tabular softmax has D(x)·k, k the
    eigenvalues of Q′diag(π)Q, Q an orthonormal basis of (√π)^⊥. Fewer parameters than N − P leave
    eigenvalues 0: then no correlation short of ±1 certifies a sign.

    Args:
        world: Its `scores` are formed, (N, D).

    Raises:
        CovlawError: if every prompt has a single completion: nothing can change.
    """
    live = (weight := world.row_weight()) > 0
    root = weight[live].sqrt()
    index = torch.unique(world.prompt[live], return_inverse=True)[1]
    basis = _orthogonal_to_constants(root, index)
    if basis.shape[1] == 0:
        raise CovlawError("every prompt has a single completion: the score kernel acts on nothing")
    reduced = basis.T @ (root[:, None] * world.scores()[live])
    narrow = reduced.shape[1] < reduced.shape[0]  # then the null modes have to be completed
    left, singular, _ = torch.linalg.svd(reduced, full_matrices=narrow)
    padding = reduced.new_zeros(reduced.shape[0] - singular.shape[0])
    values = torch.cat([singular.square(), padding])
    modes = weight.new_zeros(len(weight), basis.shape[1])
    modes[live] = basis @ left.flip(1) / root[:, None]
    return KernelSpectrum(values.flip(0), modes)


def wielandt_centre(spectrum: KernelSpectrum, covariance: Tensor) -> Tensor:
    """(k_max + k_min)/2·Cov: what ⟨g_j, g_s⟩ is at most `wielandt_bound` away from (T13)."""
    return (spectrum.largest + spectrum.smallest) / 2 * covariance


def wielandt_bound(spectrum: KernelSpectrum, sd_reward: Tensor, sd_score: Tensor) -> Tensor:
    """(k_max − k_min)/2·sd(r_j)·sd(s), sd(f)² = E_x Var_x f: attained, hence sharp (T13)."""
    return (spectrum.largest - spectrum.smallest) / 2 * sd_reward * sd_score


def sign_threshold(spectrum: KernelSpectrum) -> Tensor:
    """(κ − 1)/(κ + 1), κ = k_max/k_min, as (k_max − k_min)/(k_max + k_min): in [0, 1] (T13).

    |corr(r_j, s)| above it: the plain gradient of s moves r_j as the covariance says. Below it, and
    with three completions or more, some (r, s) of that correlation are moved the other way.
    """
    total = spectrum.largest + spectrum.smallest
    return (spectrum.largest - spectrum.smallest) / torch.where(total > 0, total, 1.0)


def extremal_pair(spectrum: KernelSpectrum, correlation: float) -> tuple[Tensor, Tensor]:
    """(r, s), (N,) each, of unit sd and a given correlation, that attains the Wielandt bound.

    r, s = a·v_max ± b·v_min with a² − b² = correlation: ⟨g_r, g_s⟩ = a²k_max − b²k_min, which is
    the bound above its centre.

    Raises:
        CovlawError: with a single mode (one prompt with two completions), where all signals are
            proportional.
    """
    if spectrum.modes.shape[1] < 2:
        raise CovlawError("one mode only: every two signals have correlation ±1")
    top, bottom = spectrum.modes[:, -1], spectrum.modes[:, 0]
    a, b = ((1 + correlation) / 2) ** 0.5, ((1 - correlation) / 2) ** 0.5
    return a * top + b * bottom, a * top - b * bottom


def _orthogonal_to_constants(root: Tensor, index: Tensor) -> Tensor:
    """Orthonormal basis (N, N − P) of the complement of every prompt's √(D·π)."""
    constants = root.new_zeros(len(root), int(index.max()) + 1)
    constants[torch.arange(len(root)), index] = root
    constants = constants / constants.norm(dim=0)
    whole: Tensor = torch.linalg.qr(constants, mode="complete")[0]
    return whole[:, constants.shape[1] :]
