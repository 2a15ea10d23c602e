"""The KL to a reference policy as a term of a loss: three estimators of it."""

import torch
from torch import Tensor

from covlaw.theory._numerics.errors import unknown

KL_ESTIMATORS = ("k1", "k2", "k3")


def kl_to_reference(log_prob: Tensor, reference_log_prob: Tensor, estimator: str = "k3") -> Tensor:
    """Elementwise estimate of KL(π ‖ π_ref) on π's samples (Schulman 2020's k1, k2, k3).

    With d = log π − log π_ref: k1 = d, k2 = d²/2, k3 = e^{−d} − 1 + d; k1 and k3 are unbiased,
    k2 and k3 never negative. As a *loss* their gradients are another matter, for the samples are
    not differentiated (Tang & Munos 2025, arXiv:2506.09477). At h_t and π = the sampling policy:

    - k1: E ∇d = E ∇log π = 0: noise, and no pull to the reference; under `sequence_mean` it is
      ∇E[1/L], which lengthens completions whatever the reference;
    - k2: E d ∇log π = ∇KL(π(·|h_t) ‖ π_ref(·|h_t)): the right one;
    - k3: E (1 − e^{−d}) ∇log π = ∇KL(π_ref(·|h_t) ‖ π(·|h_t)): that of the other direction.

    All are per token: none sees that a token changes which h_t come later.

    Raises:
        CovlawError: for an unknown estimator.
    """
    if estimator not in KL_ESTIMATORS:
        raise unknown("KL estimator", estimator, KL_ESTIMATORS)
    log_ratio = log_prob - reference_log_prob
    if estimator == "k1":
        return log_ratio
    if estimator == "k2":
        return log_ratio.square() / 2
    return torch.expm1(-log_ratio) + log_ratio


def kl_signal(log_ratio: Tensor, estimator: str = "k3") -> Tensor:
    """What a KL loss adds to the law's signal for each unit of β, up to a constant a prompt (T55).

    −dk/d log π less the constant: k1 0, k2 −d, k3 +e^{−d} = π_ref/π, d = log π − log π_ref of the
    whole completion. In the reward the penalty −β·d has k2's.

    Raises:
        CovlawError: for an unknown estimator.
    """
    if estimator not in KL_ESTIMATORS:
        raise unknown("KL estimator", estimator, KL_ESTIMATORS)
    if estimator == "k1":
        return torch.zeros_like(log_ratio)
    return -log_ratio if estimator == "k2" else torch.expm1(-log_ratio)
