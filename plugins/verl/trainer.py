"""verl's synchronous trainer with a scalarizer behind the rewards, and audits of its steps."""

import math
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transfer_queue import KVBatchMeta
from verl.trainer.ppo.v1.trainer_base import register_trainer
from verl.trainer.ppo.v1.trainer_sync import PPOTrainerSync
from verl.utils.checkpoint.checkpoint_manager import find_latest_ckpt_path
from verl.utils.debug import marked_timer
from verl.workers.utils.padding import response_from_nested

from covlaw import __version__
from covlaw.plugins._shared.state_file import load_state, save_state
from covlaw.plugins.verl.advantages import estimating, gdpo, given
from covlaw.plugins.verl.audits import (
    Seen,
    change_of,
    clipped_of,
    falls,
    law_of,
    metric,
    metrics_of,
    see,
    sequence_log_ratio,
)
from covlaw.plugins.verl.rows import Rows, fetch, put, read_rows
from covlaw.plugins.verl.settings import read_settings, scalarizer_of
from covlaw.plugins.verl.signals import Signals, Worth, require_alone
from covlaw.theory._numerics.errors import CovlawError


@register_trainer("covlaw")
class PPOTrainerCovlaw(PPOTrainerSync):  # type: ignore[misc]  # verl has no types
    """`trainer.v1.trainer_mode=covlaw`: the trainer `sync`, which reads `trainer.v1.covlaw` too.

    Rewards are the entries of the dict that the reward function returns. The score that verl's
    advantage estimator gets is the scalarizer's; a scalarizer that sets the advantage itself takes
    the estimator's place. Where `observed` completions of each prompt observe, they have advantage
    0 and enter no baseline. Settings: `covlaw.plugins.verl.settings.Settings`.

    Raises:
        CovlawError: on settings that can't be followed, before a worker is started.
    """

    def __init__(self, config: Any) -> None:
        self.covlaw_settings = settings = read_settings(config)
        scalarizer, self.covlaw_observed = scalarizer_of(settings, config)
        self.covlaw = None if scalarizer is None else Signals(settings, scalarizer)
        self.covlaw_seen: Seen | None = None
        self.covlaw_columns: dict[str, dict[str, Any]] | None = None
        resumed = _resumed(config)
        if self.covlaw and resumed is not None:
            load_state(resumed, self.covlaw)
        config.trainer.v1.trainer_mode = "sync"  # which verl asks for in many places
        super().__init__(config)
        every = f"audits every {settings.every} steps" if settings.every else "no audits"
        print(
            f"covlaw {__version__}: scalarizer {settings.scalarizer or 'none'} on "
            f"{', '.join(settings.rewards)}; {self.covlaw_observed} of {self._rollout.n} "
            f"completions observe; {every}" + f"; state from {resumed}" * (resumed is not None)
        )

    @property
    def _actor(self) -> Any:
        return self.config.actor_rollout_ref.actor

    @property
    def _rollout(self) -> Any:
        return self.config.actor_rollout_ref.rollout

    def _compute_advantage(self, batch: Any, metrics: dict[str, Any]) -> Any:
        """verl's own, of the scalarizer's score; for those that observe apart from the others."""
        names = self.covlaw_settings.rewards
        rows = read_rows(batch, names, self.covlaw_observed)
        worth = self._worth(batch, rows)
        require_alone(self.covlaw_settings.scalarizer or "adv_estimator=gdpo", worth, self.config)
        original = None if worth.score is None else self._put_score(batch, rows, worth.score)
        for observing in (False, True):
            keys = rows.of(observing)
            if keys:
                with self._estimator(rows, keys, worth):
                    part = batch.select_keys(keys)
                    made = super()._compute_advantage(part, {} if observing else metrics)
        if original is not None:
            made = put(batch, rm_scores=original)
        data = fetch(batch, "advantages", "response_mask")
        advantages = data["advantages"].unbind()
        self.covlaw_seen = see(rows, advantages, data["response_mask"].unbind())
        if bool(rows.observes.any()):
            trains = rows.spread(~rows.observes).tolist()
            kept = [a * t for a, t in zip(advantages, trains, strict=True)]
            made = put(batch, advantages=kept)  # a critic may learn from all
        self._report(metrics, worth)
        return made

    def _update_actor(self, batch: Any, metrics: dict[str, Any]) -> Any:
        """verl's own; then the new policy is asked for the same completions, where that is due."""
        batch = super()._update_actor(batch, metrics)
        seen, every = self.covlaw_seen, self.covlaw_settings.every
        due = bool(every) and (self.global_steps - 1) % every == 0
        learns = self.covlaw is not None and self.covlaw.learns
        log_ratio = None
        if seen is not None and (due or learns) and bool(seen.judged.any()):
            with marked_timer("covlaw", self.timing_raw):
                log_ratio = seen.rows.joined(self._log_ratio(batch))
            if due:
                metrics.update(self._outcome(seen, log_ratio))
        if seen is not None and self.covlaw and (log_ratio is not None or not learns):
            self.covlaw.learn(
                seen.rows, sequence_log_ratio(seen, log_ratio) if learns and log_ratio else None
            )
        return batch

    def _save_checkpoint(self) -> None:
        """The scalarizer's state first: a checkpoint that verl has finished is whole."""
        if self.covlaw:
            root = Path(self.config.trainer.default_local_dir)
            folder = root / f"global_step_{self.global_steps}"
            folder.mkdir(parents=True, exist_ok=True)
            save_state(folder, self.covlaw)
        super()._save_checkpoint()

    def _log_rollout_data(self, batch: Any, timing_raw: dict[str, Any], folder: str) -> None:
        """verl's own, without rows that only fill the batch up, and with the rewards beside."""
        seen = self.covlaw_seen
        if seen is not None:
            wanted = {seen.rows.keys[row] for members in seen.rows.members for row in members}
            batch = batch.select_keys([key for key in batch.keys if key in wanted])
            self.covlaw_columns = _columns(seen, self.covlaw_settings.rewards)
        try:
            super()._log_rollout_data(batch, timing_raw, folder)
        finally:
            self.covlaw_columns = None

    def _dump_generations(self, *args: Any, **kwargs: Any) -> None:
        if self.covlaw_columns is not None:
            extra = kwargs["reward_extra_infos_dict"]
            rows = [self.covlaw_columns[key] for key in extra["uid"]]
            more = {name: [row[name] for row in rows] for name in rows[0]} if rows else {}
            kwargs["reward_extra_infos_dict"] = more | extra
        super()._dump_generations(*args, **kwargs)

    def _worth(self, batch: Any, rows: Rows) -> Worth:
        if self.covlaw is None:  # verl's own score
            return Worth(None, None, None)
        if not self.covlaw.by_token:
            return self.covlaw.worth(rows)
        if any(len(members) > 1 for members in rows.members):
            raise CovlawError(
                f"scalarizer {self.covlaw.name!r} sets an advantage a token, for completions of "
                "one turn"
            )
        needs_reference = "log_ratio_to_reference" in self.covlaw.scalarizer.before
        fields = ["old_log_probs", "ref_log_prob"] if needs_reference else []
        data = fetch(batch, "response_mask", *fields)
        mask = pad_sequence(rows.joined(data["response_mask"].unbind()), batch_first=True)
        ratio = None
        if needs_reference:
            old, ref = (pad_sequence(rows.joined(data[f].unbind()), True) for f in fields)
            ratio = old - ref
        return self.covlaw.worth(rows, mask, ratio)

    def _put_score(self, batch: Any, rows: Rows, score: Tensor) -> list[Tensor]:
        """Put the score where verl looks for it, on the last token; return what stood there."""
        original = list(fetch(batch, "rm_scores")["rm_scores"].unbind())
        made = [torch.zeros_like(row) for row in original]
        for row, value in zip(made, rows.spread(score).tolist(), strict=True):
            row[-1] = value
        fields = {"rm_scores": made}
        if not self.config.algorithm.use_kl_in_reward:  # else verl writes it, with its penalty
            fields["token_level_rewards"] = made
        put(batch, **fields)
        return original

    def _estimator(self, rows: Rows, keys: list[str], worth: Worth) -> Any:
        algorithm = self.config.algorithm
        if worth.advantage is not None:
            return estimating(algorithm, given(rows, keys, worth.advantage))
        if algorithm.adv_estimator != "gdpo":
            return nullcontext()
        weights = algorithm.get("gdpo_reward_weights", None)
        own = None if weights is None else [float(w) for w in weights]
        own = own if worth.weights is None else worth.weights.tolist()
        return estimating(algorithm, gdpo(rows, keys, self.covlaw_settings.rewards, own))

    def _report(self, metrics: dict[str, Any], worth: Worth) -> None:
        seen, names = self.covlaw_seen, self.covlaw_settings.rewards
        assert seen is not None  # noqa: S101
        metrics.update(metric("reward", names, seen.rows.filled.mean(0)))
        if worth.weights is not None:
            metrics.update(metric("weight", names, worth.weights))
        law = law_of(seen, self._actor)
        if law is None:
            return
        alarm = falls(law)
        metrics.update(metrics_of("law", names, law) | metric("alarm", names, alarm.double()))
        if bool(alarm.any()):
            down = ", ".join(n for n, a in zip(names, alarm.tolist(), strict=True) if a)
            print(f"covlaw: step {self.global_steps} is forecast to lower {down}")

    def _log_ratio(self, batch: Any) -> list[Tensor]:
        """log π_new/π_old of every token of N rows, by one more pass of the workers."""
        asked = KVBatchMeta(
            keys=batch.keys,
            tags=batch.tags,
            partition_id=batch.partition_id,
            extra_info={
                "calculate_entropy": False,
                "compute_loss": False,
                "no_lora_adapter": False,
                "temperature": self._rollout.temperature,
            },
        )
        self.actor_rollout_wg.compute_log_prob(asked)
        data = fetch(batch, "log_probs", "old_log_probs", "response_mask")
        new = response_from_nested(data["log_probs"], data["response_mask"]).unbind()
        old = data["old_log_probs"].unbind()
        return [n.double() - o.double() for n, o in zip(new, old, strict=True)]

    def _outcome(self, seen: Seen, log_ratio: list[Tensor]) -> dict[str, float]:
        """Of completions that made the step it is biased upwards, and called otherwise."""
        names, where = self.covlaw_settings.rewards, "" if self.covlaw_observed else "_in_sample"
        found = metrics_of(f"did{where}", names, change_of(seen, log_ratio))
        clipped = clipped_of(seen, log_ratio, self._actor)
        return found | ({} if clipped is None else metrics_of(f"clipped{where}", names, clipped))


def _resumed(config: Any) -> Path | None:
    """The checkpoint that verl is about to load, by its own rule."""
    trainer = config.trainer
    if trainer.resume_mode == "resume_path":
        return Path(trainer.resume_from_path)
    if trainer.resume_mode == "auto":
        found = find_latest_ckpt_path(str(Path(trainer.default_local_dir).absolute()))
        return None if found is None else Path(found)
    return None


def _columns(seen: Seen, names: list[str]) -> dict[str, dict[str, Any]]:
    """What a dump holds beside the score, by key: the prompt, each reward, the advantage."""
    found = {}
    rewards, advantage = seen.rows.rewards.tolist(), seen.advantage.tolist()
    for members, own, worth in zip(seen.rows.members, rewards, advantage, strict=True):
        for row in members:
            values = [None if math.isnan(value) else value for value in own]
            found[seen.rows.keys[row]] = {
                "group": seen.rows.uid[row],
                "advantage": worth,
                **dict(zip(names, values, strict=True)),
            }
    return found
