"""What a verl configuration says of covlaw, checked before any worker is started."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from covlaw.plugins._shared.learning import RATIOS, observed_of
from covlaw.theory._numerics.errors import CovlawError, unknown
from covlaw.theory.scalarizers import SCALARIZERS, Scalarizer, make_scalarizer

WHERE = "trainer.v1.covlaw"


class Settings(NamedTuple):
    """The block `trainer.v1.covlaw`."""

    rewards: list[str]
    """Keys of the dict that the reward function returns; none: `algorithm.gdpo_reward_keys`."""
    scalarizer: str | None = None
    """A name of `covlaw.SCALARIZERS`, or "module:Class"; None: verl's own score trains."""
    options: dict[str, Any] = {}  # noqa: RUF012  # never written
    """Of the scalarizer."""
    observed: int | None = None
    """Completions of each prompt that observe the step instead of making it; None: a quarter of
    `rollout.n`, and 2 at least, where the scalarizer learns from changes, else none."""
    every: int = 10
    """Steps from one audit to the next; 0: none."""
    reward_range: dict[str, tuple[float, float]] = {}  # noqa: RUF012
    """(worst, best) of rewards, for scalarizers that learn from losses; (0, 1) each."""


def read_settings(config: Any) -> Settings:
    """Take the block out of a verl configuration.

    Raises:
        CovlawError: for settings that there aren't, and rewards that are not named.
    """
    given: Mapping[str, Any] = _plain(config.trainer.v1.get("covlaw", None) or {})
    for name in given:
        if name not in Settings._fields:
            raise unknown(f"setting of {WHERE}", name, Settings._fields)
    rewards = given.get("rewards") or _plain(config.algorithm.get("gdpo_reward_keys", None) or [])
    if isinstance(rewards, str) or len(rewards) < 1:
        raise CovlawError(
            f"{WHERE}.rewards is {rewards!r}: list the keys of the dict that your reward function "
            f"returns, '+{WHERE}.rewards=[accuracy,brevity]'"
        )
    found = Settings(**{**given, "rewards": [str(name) for name in rewards]})
    if not isinstance(found.every, int) or found.every < 0:
        raise CovlawError(f"{WHERE}.every={found.every!r}: give steps, or 0 for no audits")
    for name in found.reward_range:
        if name not in found.rewards:
            raise unknown(f"reward of {WHERE}.reward_range", name, tuple(found.rewards))
    return found


def scalarizer_of(settings: Settings, config: Any) -> tuple[Scalarizer[Any] | None, int]:
    """The scalarizer that they name, and how many completions of each prompt observe.

    Raises:
        CovlawError: for what verl's workers or this configuration can't give it.
    """
    name, rollout = settings.scalarizer, config.actor_rollout_ref.rollout
    made = None
    if name is not None:
        made = make_scalarizer(name, settings.rewards, **settings.options)
        _require_given(name, made, config)
    learns = made is not None and bool(made.after & RATIOS)
    observed = observed_of(rollout.n, learns, settings.observed, name or "audits", "rollout.n")
    if learns or settings.every:
        _require_whole(rollout, name if learns else None)
    return made, observed


def _require_given(name: str, scalarizer: Scalarizer[Any], config: Any) -> None:
    if "gramian" in scalarizer.before:
        others = [n for n in SCALARIZERS if "gramian" not in SCALARIZERS.find(n).before]
        raise CovlawError(
            f"scalarizer {name!r} needs the gradient of every reward, which verl's workers don't "
            f"give: choose one of {', '.join(others)}, or train with TRL"
        )
    actor = config.actor_rollout_ref.actor
    if "log_ratio_to_reference" in scalarizer.before and not actor.use_kl_loss:
        raise CovlawError(
            f"scalarizer {name!r} needs a reference policy: set "
            "actor_rollout_ref.actor.use_kl_loss=True"
        )


def _require_whole(rollout: Any, learner: str | None) -> None:
    """Refuse samples of another distribution than the one whose log-probs are taken."""
    if rollout.top_p < 1 or rollout.top_k > 0:
        remedy = f"{WHERE}.every=0" if learner is None else "another scalarizer"
        raise CovlawError(
            f"rollout.top_p={rollout.top_p} and top_k={rollout.top_k} cut the policy's "
            f"distribution, and {learner or 'an audit'} reads changes off its log-probs: set "
            f"top_p=1 and top_k=-1, or {remedy}"
        )


def _plain(found: Any) -> Any:
    from omegaconf import OmegaConf

    return OmegaConf.to_container(found, resolve=True) if OmegaConf.is_config(found) else found
