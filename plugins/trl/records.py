"""A TRL run in our own records, so that `covlaw llm audit` and `covlaw report` read it."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from covlaw.plugins.trl.advantage import rule_of, scored
from covlaw.records.constants import LAWS
from covlaw.records.runs import STEPS, append_line, cut_back, open_run
from covlaw.records.schema.versions import RUN
from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory.estimators.budget import fitted_scale
from covlaw.theory.estimators.covariance import Covariance, exact_change, within_prompt_covariance

if TYPE_CHECKING:
    from covlaw.plugins.trl.audit import Audited


class Records:
    """config.toml, environment.json and steps.jsonl of a TRL run.

    Args:
        folder: Created, or continued if it holds the same run.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def begin(self, trainer: Any, names: list[str]) -> None:
        """Write what the run is; drop steps that a resumed run makes again.

        Raises:
            CovlawError: if the folder holds something else, or lacks steps before these.
        """
        rule, args = rule_of(trainer), trainer.args
        open_run(
            self.folder,
            {
                "kind": "trl",
                "trainer": type(trainer).__name__,
                "seed": args.seed,
                "scalarizer": _scalarizer(trainer),
                "rewards": names,
                "loss": str(getattr(trainer, "loss_type", "rloo")),
                "scale_rewards": rule.scaling,
                "by_reward": rule.by_reward,
                "learning_rate": args.learning_rate,
                "completions": trainer.num_generations,
            },
        )
        kept = cut_back(self.folder / STEPS, trainer.state.global_step)
        if kept != trainer.state.global_step:
            raise CovlawError(
                f"{self.folder} holds {kept} steps of a run that goes on at step "
                f"{trainer.state.global_step}: give another out="
            )

    def step(self, trainer: Any, names: list[str], step: int, made: "Audited | None") -> None:
        """Append a step's line; rewards are those of the latest batch of completions."""
        rewards = torch.tensor([list(trainer._logs["rewards"][n]) for n in names]).T
        grouped = scored(rewards, trainer.num_generations).view(
            -1, trainer.num_generations, len(names)
        )
        means = grouped.mean(1)
        append_line(
            self.folder / STEPS,
            {
                "schema": RUN,
                "step": step,
                "seed": trainer.args.seed,
                "scalarizer": _scalarizer(trainer),
                "objectives": names,
                "reward_mean": means.mean(0).tolist(),
                "reward_se": (means.std(0) / len(means) ** 0.5).tolist(),
                "weights": _weights(trainer),
                "audits": [] if made is None else [audit_record(made)],
            },
        )


def audit_record(made: "Audited") -> dict[str, Any]:
    """An audit as in our own runs, from the two halves of each prompt's completions.

    The forecasts are those of the first half, what was measured is the exact change of the second:
    the two are independent given the step. What TRL does not let us see is null.
    """
    drawn, law = made.forecast.drawn, made.forecast.signal
    first = torch.arange(len(drawn.rewards)) % drawn.completions < drawn.completions // 2
    rewards = scored(drawn.rewards, drawn.completions)
    unknown = {"estimate": [None] * rewards.shape[1], "se": [None] * rewards.shape[1]}
    record: dict[str, Any] = {name: unknown | {"scale": None} for name in LAWS}
    if law is not None:
        found = within_prompt_covariance(rewards[first], law[first], drawn.prompt[first])
        scale = fitted_scale(law[first], made.log_ratio[first], drawn.prompt[first])
        record["law"] = _pair(found) | {"scale": float(scale)}
    change = [
        _pair(exact_change(rewards[half], made.log_ratio[half], drawn.prompt[half]))
        for half in (first, ~first)
    ]
    return {
        "sample": "independent",
        "n_prompts": len(rewards) // drawn.completions,
        "n_completions": len(rewards),
        **record,
        "first_order": unknown,
        "exact_change": change[0],
        "measured": change[1],
    }


def _pair(found: Covariance) -> dict[str, list[float]]:
    return {"estimate": found.estimate.tolist(), "se": found.standard_error.tolist()}


def _scalarizer(trainer: Any) -> str:
    return str(trainer.covlaw.name) if hasattr(trainer, "covlaw") else "linear"


def _weights(trainer: Any) -> list[float] | None:
    if hasattr(trainer, "covlaw"):
        signal = trainer.covlaw.signal
        return None if signal is None or signal.weights is None else signal.weights.tolist()
    found: Tensor = trainer.reward_weights
    return found.tolist()
