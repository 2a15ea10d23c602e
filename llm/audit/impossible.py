"""Changes that no reward can make: importance ratios that an update has blown up."""

import logging
from collections.abc import Sequence
from typing import Any

from torch import Tensor

_log = logging.getLogger("covlaw")


def warn_of_impossible(
    step: int, record: dict[str, Any], rewards: Tensor, names: Sequence[str]
) -> None:
    """Name each reward whose exact form says more than its values span: |Δ_j| > max r_j − min r_j.

    A mean cannot move further than the values that it is a mean of. The estimate is right on
    average all the same, from ratios that are rare and enormous: it says nothing here.

    Args:
        step: That was audited.
        record: Of the audit.
        rewards: (N, M) of its sample.
        names: M.
    """
    spans = (rewards.amax(0) - rewards.amin(0)).tolist()
    found = record["exact_change"]["estimate"]
    for name, change, span in zip(names, found, spans, strict=True):
        if abs(change) > span > 0:
            _log.warning(
                "audit of step %d: the exact form says %r changed by %.3g, and its values span "
                "%.3g: the update was too large for importance ratios; lower learning_rate",
                step,
                name,
                change,
                span,
            )
