"""What the settings of filters and penalties must satisfy, before anything is loaded."""

import logging
from typing import Any

import torch

from covlaw.llm.config.checks import check_choices, check_counts
from covlaw.theory._numerics.errors import CovlawError, unknown
from covlaw.theory.estimators.advantages import WITHOUT_PAIRS
from covlaw.theory.scalarizers import Batch, Scalarizer

OFF, SCORE = "off", "score"
"""Values of `dynamic_sampling` beside the shown names of rewards."""
OVERLONG = ("keep", "drop", "penalise")
KL_PLACES = ("loss", "reward")

_log = logging.getLogger("covlaw")


def check_filters(config: Any) -> None:
    """Refuse filters that name no reward, or whose numbers do not fit.

    Raises:
        CovlawError: naming the setting, its value and the remedy.
    """
    check_choices(config, {"overlong": OVERLONG, "kl_place": KL_PLACES})
    check_counts(config, {0: ("overlong_buffer",), 1: ("dynamic_rounds",)})
    if config.dynamic_sampling not in (OFF, SCORE, *config.objectives):
        raise unknown("dynamic_sampling", config.dynamic_sampling, (OFF, SCORE, *config.objectives))
    if (config.overlong == "penalise") != (config.overlong_buffer > 0):
        raise CovlawError(
            f"overlong is {config.overlong!r} and overlong_buffer is {config.overlong_buffer}: "
            'the penalty needs both, overlong = "penalise" and a buffer of at least 1 token'
        )
    if config.overlong_buffer > config.max_tokens:
        raise CovlawError(
            f"overlong_buffer is {config.overlong_buffer}: use at most max_tokens, "
            f"{config.max_tokens}"
        )


def check_lonely(config: Any, scalarizer: Scalarizer[Any]) -> None:
    """Refuse one completion a prompt where something asks for a group.

    Raises:
        CovlawError: naming the setting that does, and what is possible.
    """
    if config.completions > 1:
        return
    asking = {
        f"normaliser {config.normaliser!r}": config.normaliser not in WITHOUT_PAIRS,
        f"scalarizer {config.scalarizer_name!r}": "gramian" in scalarizer.before
        or _returns_advantage(scalarizer, len(config.objectives)),
        f"dynamic_sampling {config.dynamic_sampling!r}": config.dynamic_sampling != OFF,
    }
    found = [name for name, asks in asking.items() if asks]
    if found:
        raise CovlawError(
            f"completions is 1, and {' and '.join(found)} compare completions of one prompt: "
            "use at least 2, or a weighted score with normaliser "
            f"{' or '.join(repr(name) for name in sorted(WITHOUT_PAIRS))}"
        )


def check_added_terms(config: Any, scalarizer: Scalarizer[Any]) -> None:
    """Refuse a term of the score beside a scalarizer that returns an advantage of its own.

    Raises:
        CovlawError: naming the scalarizer and the setting.
    """
    added = [name for name, on in _added(config).items() if on]
    if added and _returns_advantage(scalarizer, len(config.objectives)):
        raise CovlawError(
            f"{' and '.join(added)} add to the score, but scalarizer {config.scalarizer_name!r} "
            "returns a normalised advantage: choose another scalarizer, or make the term a reward"
        )


def warn_of_filters(config: Any) -> None:
    """Say what a filter on one reward does to the others (F16)."""
    if config.dynamic_sampling not in (OFF, SCORE) and len(config.objectives) > 1:
        _log.warning(
            "dynamic_sampling is %r: groups in which only the other rewards vary are dropped, "
            "which can turn the sign of what the training does to them (F16); 'score' drops "
            "groups without any signal, which only rescales the law (T53)",
            config.dynamic_sampling,
        )


def _added(config: Any) -> dict[str, bool]:
    return {
        'overlong = "penalise"': config.overlong == "penalise",
        'kl_place = "reward"': config.kl_place == "reward" and config.kl_coefficient > 0,
    }


def _returns_advantage(scalarizer: Scalarizer[Any], count: int) -> bool:
    """Ask it about a made-up batch of two prompts with two completions."""
    rewards = torch.arange(4 * count, dtype=torch.float64).reshape(4, count).cos()
    batch = Batch(
        rewards,
        torch.tensor([0, 0, 1, 1]),
        gramian=torch.eye(count, dtype=torch.float64),
        log_ratio_to_reference=torch.zeros(4, 1),
        mask=torch.ones(4, 1, dtype=torch.bool),
    )
    return scalarizer.signal(scalarizer.init(), batch)[1].advantage is not None
