"""TRL's trainers with a scalarizer of ours between the rewards and the advantage."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from covlaw.plugins._shared.state_file import load_state, save_state
from covlaw.plugins.trl.attached import require_whole
from covlaw.plugins.trl.signals import Signals
from covlaw.plugins.trl.tokens import Tokens
from covlaw.theory._numerics.errors import CovlawError


@cache
def Scalarized(base: type[Any]) -> type[Any]:  # noqa: N802  # it stands where a class does
    """The same trainer, with its rewards' weights set batch by batch by a scalarizer.

    `Scalarized(GRPOTrainer)(..., scalarizer="ctwa", scalarizer_options={"step": 0.05})` takes all
    arguments of the trainer and:

    - scalarizer: a name of `covlaw.SCALARIZERS`, or "module:Class";
    - scalarizer_options: of that scalarizer;
    - observed: completions of each prompt that observe the step instead of making it. A scalarizer
      that learns from changes needs two or more, by default a quarter of num_generations; they
      have advantage 0 and enter no baseline. Audits and guards can read them as well;
    - reward_range: {reward: (worst, best)}, for scalarizers that learn from losses; (0, 1) each.

    Reward functions stay apart, so TRL's curves and tables have each of them. Weights are made of
    all processes' rewards, once a batch and never in evaluation; the state is in every checkpoint
    (covlaw.safetensors). Where the score is not a weighted sum, or the scalarizer makes the
    advantage itself, the batch's advantage is replaced.

    Raises:
        CovlawError: for a class that is none of TRL's two; the trainer's own for what a scalarizer
            needs and TRL can't give.
    """
    if not hasattr(base, "_calculate_rewards"):
        raise CovlawError(f"Scalarized({base.__name__}): give TRL's GRPOTrainer or RLOOTrainer")
    return type(f"Scalarized{base.__name__}", (_Scalarizes, base), {"__doc__": base.__doc__})


class _Scalarizes:
    """What is added to a trainer; its own methods come after these."""

    model: Any
    args: Any

    def __init__(
        self,
        *args: Any,
        scalarizer: str = "ctwa",
        scalarizer_options: Mapping[str, Any] | None = None,
        observed: int | None = None,
        reward_range: Mapping[str, tuple[float, float]] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        require_whole(self, "Scalarized")
        options = scalarizer_options or {}
        self.covlaw = Signals(self, scalarizer, options, observed, reward_range)
        self._sampled: Tokens | None = None
        trainer: Any = self
        trainer.add_callback(_Learns(self.covlaw))

    def _generate(self, prompts: list[Any]) -> Any:
        found = super()._generate(prompts)  # type: ignore[misc]  # TRL's
        self._sampled = Tokens(*found[:2])
        return found

    def _calculate_rewards(self, *args: Any, **kwargs: Any) -> Any:
        rewards = super()._calculate_rewards(*args, **kwargs)  # type: ignore[misc]
        if not self.model.training:  # evaluation, and completions of an audit
            return rewards
        assert self._sampled is not None  # noqa: S101  # sampled before it is scored
        return self.covlaw.score(rewards, self._sampled)

    def _generate_and_score_completions(self, inputs: Any) -> Any:
        output = super()._generate_and_score_completions(inputs)  # type: ignore[misc]
        if self.model.training:
            self.covlaw.place(output)
        return output

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        super()._save_checkpoint(model, trial)  # type: ignore[misc]
        trainer: Any = self
        if self.args.should_save:
            name = f"checkpoint-{trainer.state.global_step}"
            save_state(Path(trainer._get_output_dir(trial=trial)) / name, self.covlaw)

    def _load_optimizer_and_scheduler(self, checkpoint: Any) -> None:
        super()._load_optimizer_and_scheduler(checkpoint)  # type: ignore[misc]
        if checkpoint is not None:
            load_state(Path(checkpoint), self.covlaw)


class _Learns(TrainerCallback):
    def __init__(self, signals: Signals) -> None:
        self.signals = signals

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.signals.learn()
