"""How a sampled run began and ended: who fell for certain, and who was sacrificed."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from covlaw.records.constants import CERTAIN, END_SHARE, END_STEPS
from covlaw.theory.estimators.interference import regression, sacrificed

Array = NDArray[np.float64]


class Ends(NamedTuple):
    """Mean rewards at both ends of a run, (M,) each."""

    start: Array
    end: Array
    error: Array
    """Standard error of end − start; infinite where one is not known."""
    floor: Array
    """The worst that each could be."""

    @property
    def change(self) -> Array:
        """End − start."""
        return self.end - self.start

    @property
    def noise(self) -> Array:
        """Fall that sampling alone may show: `CERTAIN` standard errors."""
        return CERTAIN * self.error

    @property
    def fallen(self) -> NDArray[np.bool_]:
        """Whether the objective fell for certain, by however little."""
        return np.asarray(self.change < -self.noise)

    @property
    def lost(self) -> Array:
        """Share of what it had to lose that is gone (`interference.regression`)."""
        return regression(*map(torch.as_tensor, (self.end, self.start, self.floor))).numpy()

    @property
    def sacrificed(self) -> NDArray[np.bool_]:
        """The one definition, `interference.sacrificed`, with this noise."""
        end, start, floor = map(torch.as_tensor, (self.end, self.start, self.floor))
        found: NDArray[np.bool_] = sacrificed(
            end, start, floor, torch.as_tensor(self.noise)
        ).numpy()
        return found


def window(steps: int) -> int:
    """Steps averaged at either end: a tenth, at least 1 and at most 10, so that ends are apart."""
    return max(1, min(END_STEPS, int(END_SHARE * steps)))


def error_of_mean(errors: Array, width: int) -> Array:
    """√(Σ se²)/w, (M,), of a mean over w steps or of a difference of two: (w or 2w, M) errors."""
    return np.asarray(np.sqrt(np.square(errors).sum(0)) / width)


def run_ends(means: Array, errors: Array, worst: Array | float = 0.0) -> Ends:
    """Compare the ends of a run's reward curve.

    With w = `window(T)` the start is the mean over the first w steps and the end over the last w.
    A step's mean reward has the standard error std(prompt means)/√P, clustered by prompt; steps
    are of other prompts each and their samples independent, so the difference of the two ends has
    variance Σ se²/w² over the 2w steps. It is judged as a normal, one-sided: beyond 3 standard
    errors by chance in .135 % of objectives that did not move. The errors are estimated with about
    2w(P − 1) degrees of freedom; Student's tail is .20 % at 60 of them (w = 2, P = 16), .27 % at
    30 and .35 % at 20. How much other seeds would differ is not part of it.

    Args:
        means: (T, M) mean rewards of the batches, NaN where none is known.
        errors: (T, M) their standard errors, NaN where one is not known: then nothing is certain.
        worst: (M,) or one for all: the least reward; where a lower mean was recorded, that one.
    """
    width = window(len(means))
    start, end = means[:width].mean(0), means[-width:].mean(0)
    error = error_of_mean(np.concatenate([errors[:width], errors[-width:]]), width)
    unknown = ~np.isfinite(error + start + end) | (len(means) < 2)
    lowest = np.fmin(np.fmin.reduce(means, initial=np.inf), worst)
    return Ends(start, end, np.where(unknown, np.inf, error), lowest)
