"""The trainer that a callback serves: found, asked for its settings, and checked once."""

import sys
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import Trainer, TrainerCallback

from covlaw.theory._numerics.errors import CovlawError

NEUTRAL = {"top_p": 1.0, "top_k": 0, "min_p": None, "repetition_penalty": 1.0}
"""Sampling settings under which what is sampled from is the policy itself; None counts as unset."""
_SAME = {"min_p": (None, 0, 0.0), "top_k": (None, 0)}


def calling_trainer() -> Any:
    """The trainer whose method called this callback: transformers hands it to no callback.

    Raises:
        CovlawError: where no trainer is at work.
    """
    frame = sys._getframe(1)
    while frame is not None:
        found = frame.f_locals.get("self")
        if isinstance(found, Trainer):
            return found
        frame = frame.f_back  # type: ignore[assignment]
    raise CovlawError("no trainer called this callback: pass it in a trainer's callbacks=[...]")


class Attached(TrainerCallback):
    """A callback that knows its trainer, and refuses one that it cannot follow.

    In `callbacks=[...]` the refusal comes as the trainer is built; after `add_callback`, as
    training begins.
    """

    trainer: Any = None

    def on_init_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Meet the trainer while it is built."""
        self._attach(calling_trainer())

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Meet the trainer, at the latest."""
        self._attach(calling_trainer())
        self.begin()

    def begin(self) -> None:
        """Prepare, with the whole trainer at hand."""

    def _attach(self, trainer: Any) -> None:
        require_followable(trainer, type(self).__name__)
        self.trainer = trainer


def require_followable(trainer: Any, who: str) -> None:
    """Refuse settings under which log-probs and samples are of different policies.

    Raises:
        CovlawError: naming the setting.
    """
    args = trainer.args
    if not hasattr(trainer, "_calculate_rewards"):
        raise CovlawError(
            f"{who} serves TRL's GRPOTrainer and RLOOTrainer, not {type(trainer).__name__}"
        )
    given = {name: getattr(args, name, value) for name, value in NEUTRAL.items()}
    given |= {k: v for k, v in (args.generation_kwargs or {}).items() if k in NEUTRAL}
    for name, value in given.items():
        if value not in _SAME.get(name, (NEUTRAL[name],)):
            raise CovlawError(
                f"{who} can't follow {name}={value}: completions would come from another "
                f"distribution than the policy's; set {name}={NEUTRAL[name]}"
            )
    for name in ("tools", "rollout_func", "environment_factories"):
        if getattr(trainer, name, None):
            raise CovlawError(f"{who} can't follow {name}: part of a completion isn't the policy's")
    if getattr(args, "top_entropy_quantile", 1.0) < 1:
        raise CovlawError(
            f"{who} can't follow top_entropy_quantile={args.top_entropy_quantile}: which tokens "
            "count would depend on the batch; set it to 1.0"
        )
    require_whole(trainer, who)


def require_whole(trainer: Any, who: str) -> None:
    """Refuse trainers whose processes hold a part of the parameters only.

    Raises:
        CovlawError: naming what parts them.
    """
    for name in ("is_deepspeed_enabled", "is_fsdp_enabled"):
        if getattr(trainer, name, False):
            raise CovlawError(f"{who} needs whole parameters in each process: without {name[3:-8]}")


def reward_names(trainer: Any) -> list[str]:
    """The trainer's names of its rewards.

    Raises:
        CovlawError: where two are called the same, whose curves TRL itself writes into one.
    """
    found = list(trainer.reward_func_names)
    for name in found:
        if found.count(name) > 1:
            raise CovlawError(f"two rewards are called {name!r}: set the functions' __name__ apart")
    return found


def evaluation_rows(trainer: Any, wanted: int) -> list[dict[str, Any]]:
    """Rows that audits sample on: of the evaluation set if there is one, else of the training set.

    Raises:
        CovlawError: where there are none.
    """
    data = trainer.eval_dataset if trainer.eval_dataset is not None else trainer.train_dataset
    if isinstance(data, dict):
        data = next(iter(data.values()))
    if data is None:
        raise CovlawError("no data set to audit on: give rows=[{'prompt': ...}, ...]")
    if not hasattr(data, "__len__"):  # iterable: what comes first
        return [dict(row) for row, _ in zip(data, range(wanted), strict=False)]
    step = max(len(data) // wanted, 1)
    return [dict(data[i]) for i in range(0, len(data), step)[:wanted]]


def checked_rows(rows: Sequence[Any], who: str, world: int) -> list[dict[str, Any]]:
    """Rows with a prompt each, as many as the processes can share evenly.

    Raises:
        CovlawError: on fewer than two, images, or rows without a prompt.
    """
    kept = [dict(row) for row in rows[: len(rows) - len(rows) % world]]
    if len(kept) < 2:
        raise CovlawError(f"{who} has {len(rows)} rows for {world} processes: give two or more")
    for row in kept:
        if "prompt" not in row:
            raise CovlawError(f"a row of {who} has no 'prompt': give what the trainer is given")
        if row.get("image") is not None or row.get("images"):
            raise CovlawError(f"{who} can't follow images: give rows of text")
    return kept


def gathered(trainer: Any, values: Tensor) -> Tensor:
    """One row a completion, of all processes in the order of their ranks, on the CPU."""
    from accelerate.utils import gather

    found: Tensor = gather(values.to(trainer.accelerator.device).contiguous())
    return found.cpu()


def summed(trainer: Any, values: Tensor) -> Tensor:
    """Sum over processes."""
    found: Tensor = trainer.accelerator.reduce(values, reduction="sum")
    return found


def log_metrics(trainer: Any, kind: str, names: Sequence[str], values: Any) -> None:
    """Add covlaw/<kind>/<reward> to what the trainer logs next: its own way to W&B and the rest."""
    for name, value in zip(names, torch.as_tensor(values).tolist(), strict=True):
        trainer._metrics["train"][f"covlaw/{kind}/{name}"].append(float(value))
