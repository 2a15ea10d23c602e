"""How much of a batch can teach nothing: groups without signal, completions that were cut off."""

import logging
from typing import Any

from torch import Tensor

from covlaw.llm.model.ends import is_end
from covlaw.llm.sampling.engine import Completions
from covlaw.llm.sampling.rollout import SampledRollouts
from covlaw.theory._numerics.groups import group_by_prompt

_log = logging.getLogger("covlaw")


def warn_of_flat(rows: SampledRollouts) -> None:
    """Name each reward of a first batch that is the same throughout every prompt's completions.

    Without variance within prompts a reward has no covariance with anything: nothing is learnt from
    it, and its own change is forecast as 0.
    """
    groups = group_by_prompt(rows.prompt)
    if bool((groups.counts < 2).all()):  # a single completion is no group that could vary
        return
    flat = (groups.span(rows.rewards) == 0).all(0).tolist()
    for name, values, is_flat in zip(rows.names, rows.raw.unbind(1), flat, strict=True):
        if is_flat:
            _log.warning(
                "reward %r %s: nothing can be learnt from it; if it wants what no prompt asks for, "
                "ask in task_options.suffix or system_prompt",
                name,
                _flatness(values, len(groups.prompts)),
            )


def _flatness(values: Tensor, prompts: int) -> str:
    """How a reward is flat, of its values as they were given, NaN where it has no opinion."""
    told = values[~values.isnan()]
    if not len(told):
        return f"has no opinion on any of the first batch's {len(values)} completions"
    if bool((told == told[0]).all()):
        every = "all" if len(told) == len(values) else f"{len(told)} of"
        silent = "" if len(told) == len(values) else ", and has no opinion on the others"
        whole = f"{every} {len(values)} completions of the first batch{silent}"
        return f"is {float(told[0]):g} on {whole}"
    return f"varies within none of the first batch's {prompts} prompts"


def group_shares(rows: SampledRollouts, advantage: Tensor, ends: tuple[int, ...]) -> dict[str, Any]:
    """Shares of dead groups and of truncated completions among the rows that make an update.

    A group is dead for a reward that is constant in it, and for the score where its advantage is
    0 throughout. Truncated is what does not end with the end-of-sequence token; `groups` counts
    those whose completions all are.

    Args:
        rows: (N, M) rewards and their completions.
        advantage: (N,) or (N, T).
        ends: Tokens that end a completion.
    """
    groups = group_by_prompt(rows.prompt)
    if bool((groups.counts < 2).all()):  # a single completion is no group that could vary
        cut = truncated(rows.completions, ends).double()
        return {"truncated": {"completions": float(cut.mean())}}
    names = list(rows.names)
    dead = (groups.span(rows.rewards) == 0).double().mean(0).tolist()
    own = advantage.to(rows.prompt.device).abs()
    still = groups.sum(own if own.ndim == 1 else own.sum(1)) == 0
    cut = truncated(rows.completions, ends).to(rows.prompt.device).double()
    wholly = groups.sum(cut) == groups.counts
    return {
        "dead_groups": dict(zip(names, dead, strict=True))
        | {"score": float(still.double().mean())},
        "truncated": {"completions": float(cut.mean()), "groups": float(wholly.double().mean())},
    }


def truncated(completions: Completions, ends: tuple[int, ...]) -> Tensor:
    """Which completions the longest length ended, and not their own last token: (N,) bool."""
    last = (completions.lengths - 1).clamp(min=0)
    ending = completions.tokens.gather(1, last[:, None])[:, 0]
    return ~is_end(ending, ends) | (completions.lengths == 0)
