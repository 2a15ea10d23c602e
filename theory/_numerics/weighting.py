"""How rows and prompts are weighted: exact probabilities, or samples with an honest error."""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from covlaw.theory._numerics.groups import Groups
from covlaw.theory._numerics.prompts import by_prompt
from covlaw.theory._numerics.validation import as_mass, as_prompt_mass, require_pairs


class Grouping(NamedTuple):
    """How rows belong to prompts and weigh: the last arguments of every public estimator.

    Internal functions take it whole. It holds what users hold, `PromptIds` and `Numbers`, until
    `weighting` checks it; a `Rollouts` gives tensors.
    """

    prompt: Any
    """(N,) ids."""
    mass: Any = None
    """(N,) probabilities within each prompt; None: i.i.d. samples."""
    prompt_mass: Any = None
    """(P,) by ascending id; None: uniform."""


class Weighting(NamedTuple):
    """Weights of the rows of each prompt, and of the prompts."""

    groups: Groups
    row: Tensor
    """(N,) weights that sum to 1 within a prompt: masses, or 1/K."""
    correction: Tensor
    """(P,) Bessel's K/(K−1) for samples, 1 for masses."""
    prompt: Tensor
    """(P,) weights that sum to 1."""
    exact: bool
    """Whether the rows carry their true probabilities."""

    def average(self, per_prompt: Tensor) -> tuple[Tensor, Tensor]:
        """Return the mean over prompts of (P, M) and its standard error, (M,) each.

        The error is 0 for exact rows. For samples it is the delete-one-prompt jackknife
        √((P−1)/P Σ_x (w_x(C_x − C̄)/(1−w_x))²): for uniform w_x the usual √(Σ(C_x − C̄)²/(P(P−1))),
        and for prompts of equal variance never too small in expectation, however uneven w_x.
        """
        estimate, error = mean_and_error(per_prompt, self.prompt)
        return estimate, torch.zeros_like(estimate) if self.exact else error


def mean_and_error(per_prompt: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean (..., M) of (..., P, M) by weights (P,), and its delete-one-prompt error."""
    estimate = weight @ per_prompt
    # a single prompt says nothing of the spread between prompts: 0/0 is NaN on purpose
    influence = (weight / (1 - weight))[:, None] * (per_prompt - estimate[..., None, :])
    count = (weight > 0).sum()
    return estimate, (influence.square().sum(-2) * (count - 1) / count).sqrt()


def weighting(rows: Grouping) -> Weighting:
    """Weigh rows by their `mass` or as samples, prompts by their `prompt_mass` or uniformly.

    Raises:
        CovlawError: on masses that do not sum to 1, and sampled prompts with one completion.
    """
    groups = by_prompt(rows.prompt)
    mass, prompt_mass = as_mass(rows.mass, groups), as_prompt_mass(rows.prompt_mass, groups)
    counts = groups.counts.to(torch.float64)
    if mass is None:
        require_pairs(groups)
    correction = counts / (counts - 1) if mass is None else torch.ones_like(counts)
    share = torch.ones_like(counts) if prompt_mass is None else prompt_mass
    return Weighting(groups, groups.share(mass), correction, share / share.sum(), mass is not None)
