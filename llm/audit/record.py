"""From an audit's samples to its record, and to the arrays that statements are checked on."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import load_file, save
from torch import Tensor

from covlaw.records.constants import LAWS
from covlaw.records.files import write_bytes, writing_to
from covlaw.theory._numerics.groups import group_by_prompt
from covlaw.theory.estimators.budget import ScoreFields, fitted_scale, law_budget, short_budget
from covlaw.theory.estimators.clipped_law import centred_weight
from covlaw.theory.estimators.covariance import Covariance, exact_change, within_prompt_covariance
from covlaw.theory.estimators.error_correlation import prompt_correlation
from covlaw.theory.estimators.intervals import Limits, change_interval
from covlaw.theory.estimators.rollouts import Rollouts


class Evidence(NamedTuple):
    """Rollouts of π_old with what an update did on them: the chain, and the inner steps' weights.

    All of it is where the rollouts are.
    """

    rollouts: Rollouts
    fields: ScoreFields
    inner: list[tuple[Tensor, Tensor]]
    """(W, log-ratio) of each inner step."""

    @property
    def prompt(self) -> Tensor:
        """(N,) prompt ids."""
        return self.rollouts.prompt

    @property
    def rewards(self) -> Tensor:
        """(N, M)."""
        return self.rollouts.rewards

    @property
    def advantage(self) -> Tensor:
        """(N,) or (N, T)."""
        return self.rollouts.trained_advantage()

    @property
    def by_token(self) -> bool:
        """Whether the advantage differs from token to token: then no s and no W is observed."""
        return self.advantage.ndim == 2


class Measured(NamedTuple):
    """The change seen on fresh samples of both policies, clustered by prompt."""

    estimate: Tensor
    """(M,)."""
    standard_error: Tensor
    """(M,); 0 where random numbers in common gave no differing completion."""
    limits: Limits
    """95 %, (M,) each: they do not collapse where the standard error does."""
    per_prompt: Tensor | None = None
    """(P, M) by ascending prompt id; kept for the record, not with the evidence."""

    def record(self) -> dict[str, list[float]]:
        """{estimate, se, low, high}, (M,) each."""
        return {
            "estimate": self.estimate.tolist(),
            "se": self.standard_error.tolist(),
            "low": self.limits.low.tolist(),
            "high": self.limits.high.tolist(),
        }


def measure_change(new: Rollouts, old: Rollouts, prompts: int) -> Measured:
    """Mean change over prompts between completions of π_new and of π_old.

    Differences are taken prompt by prompt, so random numbers common to both samples cancel.
    """
    change = _prompt_means(new, prompts) - _prompt_means(old, prompts)
    limits = change_interval(old.rewards, new.rewards, old.prompt)
    return Measured(change.mean(0), change.std(0) / prompts**0.5, limits, change)


def audit_record(
    kind: str, evidence: Evidence, measured: Measured, budgeted: bool = True
) -> dict[str, Any]:
    """Return the audit's record (DESIGN, Records): `kind` is "independent" or "same".

    "law", "clipped" and "clipped_centred" are covariances with a signal; times their `scale` they
    are in the units of the changes (`scale` is itself fitted on the sample, which the standard
    errors leave out). Under a token-level advantage these are null (`terms.law_signal` says why),
    and the budget's kernel term is all of the first field, with f0 = 0. Budgets are taken on
    independent samples only. Where the loss divides by lengths, "law_by_sum" is what the law would
    be without: what `sequence_mean` costs an objective is the difference in sign or share of the
    two (T18). Without `budgeted` (a light audit) there is no budget.

    `correlation`, of independent samples: of the errors of a forecast and of the measured change,
    (M,) each, over the prompts that both were seen on.
    """
    prompt, rewards, fields = evidence.prompt, evidence.rewards, evidence.fields
    change = measured.per_prompt if kind == "independent" else None
    record: dict[str, Any] = {
        "sample": kind,
        "n_prompts": int(prompt.unique().numel()),
        "n_completions": int(prompt.numel()),
        **_laws(evidence, change),
        "first_order": _pair(within_prompt_covariance(rewards, fields.step, prompt), change),
        "exact_change": _pair(exact_change(rewards, fields.log_ratio, prompt), change),
        "measured": measured.record(),
    }
    if not evidence.by_token and not torch.equal(evidence.advantage, fields.score):
        by_sum = within_prompt_covariance(rewards, evidence.advantage, prompt)
        record["law_by_sum"] = _pair(by_sum)
    if kind == "independent" and budgeted:
        short = short_budget(rewards, fields, prompt)
        terms = law_budget(rewards, fields, prompt).terms
        record["budget"] = {name: term.tolist() for name, term in terms.items()}
        names = ("law", "direction", "logit", "tilt", "bound", "sample_certified", "certified")
        record["short"] = {name: getattr(short, name).tolist() for name in names}
    return record


def save_evidence(path: Path, evidence: Evidence, measured: Measured) -> None:
    """Write an audit's arrays (safetensors, whole or not at all).

    Raises:
        CannotWriteError: if they cannot be written, e.g. on a full disk.
    """
    arrays = {
        "prompt": evidence.prompt,
        "rewards": evidence.rewards,
        "advantage": evidence.advantage,
        "change": measured.estimate,
        "change_error": measured.standard_error,
        "change_low": measured.limits.low,
        "change_high": measured.limits.high,
        **{f"fields.{name}": value for name, value in evidence.fields._asdict().items()},
        **{f"inner.{k}.weight": weight for k, (weight, _) in enumerate(evidence.inner)},
        **{f"inner.{k}.log_ratio": ratio for k, (_, ratio) in enumerate(evidence.inner)},
    }
    with writing_to(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    own = {name: value.cpu().contiguous().clone() for name, value in arrays.items()}
    write_bytes(path, save(own))


def load_evidence(path: Path, names: Sequence[str]) -> tuple[Evidence, Measured]:
    """Read what `save_evidence` wrote, of objectives with these names."""
    arrays = load_file(path)
    fields = ScoreFields(*(arrays[f"fields.{name}"] for name in ScoreFields._fields))
    steps = sum(name.endswith(".weight") for name in arrays)
    inner = [(arrays[f"inner.{k}.weight"], arrays[f"inner.{k}.log_ratio"]) for k in range(steps)]
    rollouts = Rollouts(arrays["prompt"], arrays["rewards"], names, advantage=arrays["advantage"])
    unknown = torch.full_like(arrays["change"], torch.inf)  # older evidence holds no limits
    limits = Limits(arrays.get("change_low", -unknown), arrays.get("change_high", unknown))
    measured = Measured(arrays["change"], arrays["change_error"], limits)
    return Evidence(rollouts, fields, inner), measured


def _prompt_means(drawn: Rollouts, prompts: int) -> Tensor:
    prompt, rewards = drawn.prompt, drawn.rewards
    total = rewards.new_zeros(prompts, rewards.shape[1]).index_add(0, prompt, rewards)
    return total / torch.bincount(prompt, minlength=prompts)[:, None]


def _laws(evidence: Evidence, change: Tensor | None) -> dict[str, dict[str, Any]]:
    """Each law with the scale of its own signal: clipping shrinks W, so s's would be too small."""
    if evidence.by_token:
        unknown = [float("nan")] * evidence.rewards.shape[1]
        return {n: {"estimate": unknown, "se": unknown, "scale": float("nan")} for n in LAWS}
    weight = torch.stack([w for w, _ in evidence.inner]).mean(0)
    signals = (evidence.fields.score, weight, _centred(evidence))
    return {
        name: {
            **_pair(within_prompt_covariance(evidence.rewards, signal, evidence.prompt), change),
            "scale": float(fitted_scale(signal, evidence.fields.step, evidence.prompt)),
        }
        for name, signal in zip(LAWS, signals, strict=True)
    }


def _centred(evidence: Evidence) -> Tensor:
    groups = group_by_prompt(evidence.prompt)
    signals = [centred_weight(w, ratio.exp(), groups, None) for w, ratio in evidence.inner]
    return torch.stack(signals).mean(0)


def _pair(covariance: Covariance, change: Tensor | None = None) -> dict[str, list[float]]:
    found = {"estimate": covariance.estimate, "se": covariance.standard_error}
    if change is not None:
        found["correlation"] = prompt_correlation(covariance.per_prompt, change)
    return {name: value.tolist() for name, value in found.items()}
