"""Everything a run is made of: one frozen record, read from a preset, checked before any work."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from covlaw.llm.config.algorithms import OWN_RANGE, filled, reopened
from covlaw.llm.config.checks import check_kinds, check_needs, check_texts, spread
from covlaw.llm.config.filter_checks import check_added_terms, check_filters, check_lonely
from covlaw.llm.config.options import by_objective, chosen, completed, merged
from covlaw.llm.config.preset_files import read_preset, template_text
from covlaw.llm.config.setting_checks import check_config
from covlaw.llm.cores import cores_of_a_process
from covlaw.llm.guard.settings import GuardSettings, completed_options
from covlaw.llm.model.adapters import completed_lora
from covlaw.llm.rewards import reward_names
from covlaw.llm.sampling.engine_correction import check_correction
from covlaw.theory._numerics.errors import CovlawError, unknown
from covlaw.theory._numerics.plugins import parse
from covlaw.theory.losses import PolicyLoss, make_loss
from covlaw.theory.scalarizers import Scalarizer, make_scalarizer

_TUPLES = ("rewards", "reward_worst", "reward_best")


@dataclass(frozen=True)
class TrainConfig:
    """One RL run.

    Args:
        out: Run folder.
        model: Hub id or local path for `AutoModelForCausalLM`; "base", "base:MIXTURE" or
            "base:MIXTURE:DIFFICULTY": a small model that `covlaw llm base` trains.
        task: Task name, or "module:function" or "path/to/file.py:function"; `task_path` its
            files, where it has any.
        task_options: Table of the task's options: `prefix` and `suffix` of every question;
            arithmetic's `difficulty`, or the columns of a file
            (`covlaw.llm.tasks.columns.Columns`).
        system_prompt: Text of a system turn before each prompt; of a model without chat template,
            text before each prompt, and an empty line.
        chat_template: A Jinja chat template in place of the model's own, or the path of a file
            with one, `….jinja`; the record holds its text, and the finished model keeps it.
        max_prompt_tokens: Longest prompt, in tokens of the model with its chat template; 0: any.
        long_prompts: What happens to longer ones: "drop" (counted and said) or "refuse".
        rewards: Objectives: names in `covlaw.llm.rewards.REWARDS`, "module:function" or
            "path/to/file.py:function", any of them after "shown name=" (docs/rewards.md).
        reward_seconds: Time limit of a user's reward on one batch, in a process of its own; 0: no
            limit, and it is called in the run's process.
        scalarizer: Name in `SCALARIZERS`, or "module:Class" or "path/to/file.py:Class", best after
            "shown name=": `options` and records use that name; or the name of a table of options
            that has an entry `scalarizer`.
        options: Options of scalarizers by name, or by a name of their own (`scalarizer = "ctwa"`
            in the table `ctwa-fast`); those of `scalarizer` are completed by its
            defaults, so that the record names them all.
        algorithm: Name in `covlaw.llm.config.algorithms.ALGORITHMS`, which fills `normaliser` and
            `aggregation` where they are empty; "": "grpo" and "sequence_sum".
        loss: Name in `covlaw.theory.losses.LOSSES`, which fills the clip range, and `aggregation`
            before `algorithm` does where its source names one.
        normaliser: Advantage normalisation (`advantages.NORMALISERS`): "dr_grpo" is
            the raw prompt-centred score, "grpo" divides it by each prompt's std, "reinforce++" is
            global whitening, "pooled_within" divides by the pooled std within prompts.
        seed: Decides the run, bit for bit at a fixed thread count.
        steps: Batches; 0: as many as `data_epochs` passes over the training prompts hold.
        data_order: "random": each batch draws its prompts anew; "epochs": pass after pass, each in
            an order of its own, the prompts that fill no whole batch left out of that pass.
        data_epochs: Passes where `steps` is 0; else 0.
        prompts: Prompts a batch.
        completions: Completions a prompt that make the update; 1 with REINFORCE++'s baseline of
            the whole batch only. Audits draw samples of their own, with `audit_completions` each.
        observed: Completions a prompt beside them that only the scalarizer's observation sees;
            drawn where the scalarizer observes anything, at least 2.
        observe: Signal of that covariance: "ratio" ρ, or "clipped_ratio" ρ clipped to the range.
        reward_worst: Least possible value of the rewards, one for all or one each; read where the
            scalarizer asks for losses, which are the shortfall from the best.
        reward_best: Greatest possible value, likewise.
        max_tokens: Longest completion.
        length_decay: Memory of the mean length that conciseness is judged against, in [0, 1): the
            share that a batch keeps of it. 0.98 forgets half in 34 batches.
        temperature: Of sampling, and of the policy whose log-probs are trained.
        top_k: Only so many of the likeliest tokens are drawn; 0: all.
        top_p: Only the fewest tokens that hold this mass are drawn; 1: all. With either on, the law
            is about the truncated policy (docs/vllm.md).
        engine: Where completions come from: "transformers", "vllm" (docs/vllm.md), or the place of
            a function that builds one (`covlaw.llm.config.engine_checks.ENGINES`).
        engine_options: Table of vLLM's options, see `covlaw.llm.sampling.vllm.options`.
        engine_gap_limit: Greatest root mean square over tokens of the difference between the
            engine's log-probs and the trainer's, in nats, before the run stops; 0: what rounding
            explains, by dtype and depth.
        engine_correction: "off", or "tis": advantages are weighed by min(π/μ, `engine_cap`), μ the
            engine; the run is then stopped by no gap but an `engine_gap_limit` that is set (T52).
        engine_cap: C of these weights.
        engine_level: One weight a "token", as published, or one a "sequence", of which audits
            know the margin.
        lora: Table of the options of low-rank adapters, which alone are then trained, kept and
            written (`covlaw.llm.model.adapters.LoraSettings`; extra `covlaw[peft]`); empty: none.
        gramian: Of methods that look at gradients (`mgda`, `upgrad`, …): "plain", of all rows; or
            "crossed", of two halves, without the noise on its diagonal, but with a larger spread
            (T62): as much time, M gradients more in memory.
        learning_rate: AdamW's, constant after `warmup` steps.
        weight_decay: AdamW's.
        grad_clip: Largest gradient norm; 0: no limit.
        epochs: Passes over a batch (PPO inner epochs).
        mini_batches: Optimiser steps an epoch, each on its share of the batch's rows, shuffled by
            the seed; advantages stay the whole batch's. An audit repeats every inner step.
        clip_low: Lower clip range; -1: the loss's own (0.2 for "ppo").
        clip_high: Upper clip range; -1: likewise.
        dual_clip: Bound on ρ where A < 0; 0: none.
        aggregation: From tokens to a loss (`losses.aggregation.aggregate`), of all its terms.
        kl_coefficient: Weight β of the KL to the initial policy; 0: not computed.
        kl_place: "loss", or "reward": the score of a completion is less β·log π/π_ref, which is
            not differentiated and has k2's expected gradient (T55).
        kl_estimator: "k2" has the gradient of KL(π ‖ π_ref), "k3" that of KL(π_ref ‖ π), and "k1"
            none on average (`covlaw.theory.losses.kl_penalty.kl_to_reference`).
        entropy_coefficient: Weight of the bonus on the entropy of next tokens; 0: not computed.
        dynamic_sampling: "off"; "score": groups whose score is constant are replaced by those of
            new prompts (T53); or the shown name of a reward that is watched instead (F16).
        dynamic_rounds: Further draws at most; what has no signal then stays, with advantage 0.
        overlong: Completions that `max_tokens` cut off: "keep"; "drop": their advantage is 0; or
            "penalise": the score falls by up to 1 over the last `overlong_buffer` tokens.
        overlong_buffer: Tokens before `max_tokens` where that penalty begins; 0 elsewhere.
        micro_batch: Rows a forward or backward pass, in audits too; the result does not depend on
            it beyond rounding. 0: as many as fit into memory by the plan's estimate, a power of
            two up to 256; the record names the number.
        dtype: Of matrix products in training passes, "float32" or "bfloat16"; parameters, optimiser
            and the audits' covariances are float32 (`covlaw.llm.model.precision`).
        sampling_dtype: Of the weights that the transformers engine samples batches with; in
            "bfloat16" they are a copy, made once an update. Audits and evaluations draw from the
            policy itself (docs/real.md says why), unless the engine is corrected.
        train_layers: Only so many of the last layers are trained, and what stands after them but
            no embedding; 0: all of the model.
        share_prompts: Whether log-probs are read with each prompt passed through the model once,
            not once a completion (`covlaw.llm.model.shared_prompts`): the same but for rounding.
        gradient_checkpointing: Whether layers are computed anew on the way back: less memory.
        compile_layers: Whether `torch.compile` fuses each layer in training passes: faster on a
            GPU after a minute; other last bits (`covlaw.llm.model.compiled`).
        guard: Whether each finished update is changed as little as keeps every objective (T58):
            "off", "on", or "needed", where it would certainly take one below its floor (with no
            more prompts than objectives the same as "on").
        guard_options: Table of the guard's options (`covlaw.llm.guard.settings.GuardSettings`).
        audit: "light": the forecast along the step, the exact form and the measured change, on
            π_old's test sample alone; or "full", with the budget of the law's terms.
        moved_rows: Completions of a batch, spread over its prompts, that are read again after the
            update, to record how far it moved the policy (`covlaw.llm.loop.moved`); 0: none.
        audits: How many audits, spread over the run (denser at its start); -1: as many as cost a
            tenth of the run, from 1 to 20 (`covlaw.llm.audit.schedule`); 0: none.
        audit_prompts: Prompts an audit.
        audit_completions: Completions a prompt in each of an audit's two samples of π_old.
        measured_completions: Completions a prompt, of π_old and of π_new, that measure the change.
        audit_held_out: Prompts of the task's val split on which an audit measures the change too;
            0: none.
        audit_gramian: Whether an audit records the Gramian of the objectives' policy gradients.
        samples: Completions with their rewards that `samples.jsonl` keeps of each audited step, of
            the first and of the last; 0: none.
        evaluate_every: Steps between evaluations on the task's val split, of which the first comes
            before the first step and the last after the last one; 0: none.
        evaluate_prompts: Prompts an evaluation; 0: the whole split.
        evaluate_completions: Completions a prompt.
        checkpoint_every: Steps between checkpoints.
        keep_checkpoints: Checkpoints kept: the newest ones, each a fallback for those after it.
        tensorboard: Whether to write event files for TensorBoard beside the records.
        rank_seconds: Where a run has several processes (docs/distributed.md): longest time that
            one waits for another.
        threads: Torch threads. 0: one a physical core, shared between the processes on a machine.
            The last bits of a run depend on their number, so it is recorded.
        device: Torch device.
    """

    out: str = "runs/llm"
    model: str = "base"
    task: str = "arithmetic"
    task_path: str = ""
    task_options: Mapping[str, Any] = field(default_factory=dict)
    system_prompt: str = ""
    chat_template: str = ""
    max_prompt_tokens: int = 0
    long_prompts: str = "drop"
    rewards: tuple[str, ...] = ("accuracy", "conciseness", "clarity")
    reward_seconds: float = 60.0
    scalarizer: str = "linear"
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    algorithm: str = ""
    loss: str = "ppo"
    normaliser: str = ""
    seed: int = 0
    steps: int = 80
    data_order: str = "random"
    data_epochs: int = 0
    prompts: int = 16
    completions: int = 16
    observed: int = 16
    observe: str = "clipped_ratio"
    reward_worst: tuple[float, ...] = (0.0,)
    reward_best: tuple[float, ...] = (1.0,)
    max_tokens: int = 44
    length_decay: float = 0.98
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    engine: str = "transformers"
    engine_options: Mapping[str, Any] = field(default_factory=dict)
    engine_gap_limit: float = 0.0
    engine_correction: str = "off"
    engine_cap: float = 2.0
    engine_level: str = "token"
    lora: Mapping[str, Any] = field(default_factory=dict)
    gramian: str = "plain"
    learning_rate: float = 2e-4
    warmup: int = 0
    weight_decay: float = 0.0
    grad_clip: float = 1.0
    epochs: int = 1
    mini_batches: int = 1
    clip_low: float = OWN_RANGE
    clip_high: float = OWN_RANGE
    dual_clip: float = 0.0
    aggregation: str = ""
    kl_coefficient: float = 0.0
    kl_estimator: str = "k3"
    kl_place: str = "loss"
    entropy_coefficient: float = 0.0
    dynamic_sampling: str = "off"
    dynamic_rounds: int = 4
    overlong: str = "keep"
    overlong_buffer: int = 0
    micro_batch: int = 256
    dtype: str = "float32"
    sampling_dtype: str = "float32"
    train_layers: int = 0
    share_prompts: bool = False
    gradient_checkpointing: bool = False
    compile_layers: bool = False
    guard: str = "off"
    guard_options: Mapping[str, Any] = field(default_factory=dict)
    audit: str = "light"
    moved_rows: int = 8
    audits: int = -1
    audit_prompts: int = 32
    audit_completions: int = 16
    measured_completions: int = 32
    audit_held_out: int = 0
    audit_gramian: bool = False
    samples: int = 8
    evaluate_every: int = 0
    evaluate_prompts: int = 0
    evaluate_completions: int = 4
    checkpoint_every: int = 10
    keep_checkpoints: int = 2
    tensorboard: bool = False
    rank_seconds: float = 600.0
    threads: int = 0
    device: str = "cpu"

    def __post_init__(self) -> None:
        check_kinds(self)
        for name in _TUPLES:
            object.__setattr__(self, name, tuple(getattr(self, name)))
        check_texts("rewards", self.rewards)
        object.__setattr__(self, "chat_template", template_text(self.chat_template))
        for name, value in filled(self).items():
            object.__setattr__(self, name, value)
        if self.threads == 0:
            object.__setattr__(self, "threads", cores_of_a_process())
        object.__setattr__(self, "lora", completed_lora(self.lora))
        check_config(self)
        check_filters(self)
        check_correction(self)
        given = by_objective(self.options, self.scalarizer_name, self.objectives)
        object.__setattr__(self, "options", given)
        guard = completed_options(self.guard, self.guard_options, self.objectives)
        object.__setattr__(self, "guard_options", guard)
        check_needs(self.scalarizer_name, self.make_scalarizer())
        check_added_terms(self, self.make_scalarizer())
        check_lonely(self, self.make_scalarizer())
        object.__setattr__(self, "options", completed(self.options, self.scalarizer))

    def make_scalarizer(self) -> Scalarizer[Any]:
        """Build the run's scalarizer."""
        spec, options = chosen(self.options, self.scalarizer)
        return make_scalarizer(f"{spec.name}={spec.target}", self.objectives, **options)

    def make_loss(self) -> PolicyLoss:
        """Build the run's policy loss."""
        return make_loss(
            self.loss,
            clip_low=self.clip_low,
            clip_high=self.clip_high,
            dual_clip=self.dual_clip or None,
            aggregation=self.aggregation,
        )

    @property
    def guard_settings(self) -> GuardSettings | None:
        """How updates are guarded, where they are."""
        return None if self.guard == "off" else GuardSettings(**self.guard_options)

    @property
    def scalarizer_name(self) -> str:
        """What records, options and tables call it: its name, or what stands before "="."""
        return parse("scalarizer", self.scalarizer).name

    @property
    def samples_a_copy(self) -> bool:
        """Whether batches are drawn from a copy of the weights in bfloat16."""
        return self.engine == "transformers" and self.sampling_dtype == "bfloat16"

    @property
    def objectives(self) -> tuple[str, ...]:
        """Shown names of the rewards."""
        return reward_names(self.rewards)

    @property
    def as_reference(self) -> bool:
        """Whether the scalarizer behaves as its reference implementation does."""
        return bool(self.options[self.scalarizer_name].get("reference", False))

    @property
    def reward_range(self) -> dict[str, tuple[float, float]]:
        """(worst, best) of each objective, by name."""
        ends = (spread(v, len(self.rewards)) for v in (self.reward_worst, self.reward_best))
        return dict(zip(self.objectives, zip(*ends, strict=True), strict=True))

    def to_dict(self) -> dict[str, Any]:
        """TOML-able record that rebuilds this configuration."""
        return asdict(self) | {name: list(getattr(self, name)) for name in _TUPLES}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "TrainConfig":
        """Build from a record; unknown keys name their near matches."""
        known = {f.name: f.type for f in fields(cls)}
        for key in values:
            if key not in known:
                raise unknown("setting", key, tuple(known), "docs/reference/llm.md")
        try:
            return cls(**values)
        except TypeError as error:
            raise CovlawError(f"settings: {error}") from error

    @classmethod
    def preset(cls, name: str, **overrides: Any) -> "TrainConfig":
        """Load a preset of `llm/presets`, or a TOML file, and override some settings.

        A dotted name overrides one entry of a table, e.g. `options.ctwa.target`.
        """
        return cls.from_dict(merged(read_preset(name), overrides))

    def with_options(self, **changes: Any) -> "TrainConfig":
        """Copy with some settings changed and everything checked again."""
        return replace(self, **reopened({}, changes) | changes)
