"""What the runs did: held-out changes in pairs, and a forecast and a diagnosis from base samples.

Over a whole run the exact form is Cov_base(r_j, π_end/π_base) on the base's samples of training
prompts (T8), a diagnosis: it needs the finished run. The law's forecast is Cov_base(r_j, Σ_k r_k)
on the same, whose sign says who rises under equal weights.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from covlaw.llm.config.train_config import TrainConfig
from covlaw.llm.evaluate.config import EvalConfig
from covlaw.llm.evaluate.evaluation import Scores, evaluate
from covlaw.llm.evaluate.summary import compare, reward_estimates
from covlaw.llm.model.log_prob import sequence_log_prob
from covlaw.llm.model.policy import load_policy
from covlaw.llm.model.shared_prompts import shared_prompts
from covlaw.llm.rewards import initial_state
from covlaw.llm.sampling.engines import make_engine
from covlaw.llm.sampling.prompts import load_split, prompts_of
from covlaw.llm.sampling.rollout import SampledRollouts
from covlaw.llm.sampling.scoring import Rewards
from covlaw.records.guard_weights import weight_shares
from covlaw.records.runs import STEPS, read_lines
from covlaw.theory.estimators.covariance import exact_change, within_prompt_covariance
from covlaw.theory.estimators.intervals import interval

PROMPTS, COMPLETIONS, HELD_OUT, EACH, SEED = 64, 8, 64, 8, 7

Say = Callable[[str], None]


def judged(runs: Mapping[str, Path], config: TrainConfig, say: Say = print) -> dict[str, Any]:
    """The record of all finished runs beside their base: {objectives, base, law, runs}.

    Args:
        runs: Finished runs' folders by name; they share their base and task.
        config: Of any of them.
        say: Is told what is being done.
    """
    say(f"evaluating the base on {HELD_OUT} held-out prompts")
    base = evaluate(_evaluation(config, config.model))
    with shared_prompts(config.share_prompts), torch.no_grad():
        say(f"sampling the base: {PROMPTS} training prompts, {COMPLETIONS} completions each")
        drawn, old = base_samples(config)
        law = within_prompt_covariance(drawn.rewards, drawn.rewards.sum(1), drawn.prompt)
        found = {}
        for name, run in runs.items():
            say(f"judging {name}")
            found[name] = _judged_run(run, config, base, drawn, old)
    return {
        "objectives": list(config.objectives),
        "prompts": {"held_out": HELD_OUT, "training": PROMPTS},
        "completions": {"held_out": EACH, "training": COMPLETIONS},
        "base": [row._asdict() for row in reward_estimates(base)],
        "law": {"estimate": law.estimate.tolist(), "se": law.standard_error.tolist()},
        "runs": found,
    }


def base_samples(config: TrainConfig) -> tuple[SampledRollouts, torch.Tensor]:
    """Completions of the base on training prompts, and their log-probs under it."""
    model, tokenizer = load_policy(config.model, config.device)
    problems = prompts_of(config, tokenizer, load_split(config, "train"))[:PROMPTS]
    engine = make_engine(config, model, tokenizer, [problem.prompt for problem in problems])
    drawn = engine.sample(
        [problem.prompt for problem in problems],
        COMPLETIONS,
        config.max_tokens,
        config.temperature,
        torch.Generator(config.device).manual_seed(SEED),
    )
    state = initial_state(drawn.lengths.double().cpu()).limited(config.max_tokens)
    rewards = Rewards(config.rewards, config.reward_seconds)(drawn, problems, state)
    read = sequence_log_prob(model, drawn, config.temperature, config.micro_batch)
    return SampledRollouts.of(drawn, rewards, config.objectives), read


def _evaluation(config: TrainConfig, model: str) -> EvalConfig:
    names = ("task", "task_path", "task_options", "rewards", "max_tokens", "temperature", "device")
    shared: dict[str, Any] = {name: getattr(config, name) for name in names}
    sizes: dict[str, Any] = {"completions": EACH, "limit": HELD_OUT, "batch": HELD_OUT}
    return EvalConfig(model=model, split="test", seed=SEED, **shared, **sizes)


def _judged_run(
    run: Path, config: TrainConfig, base: Scores, drawn: SampledRollouts, old: torch.Tensor
) -> dict[str, Any]:
    scores = evaluate(_evaluation(config, str(run / "model")))
    model = load_policy(str(run / "model"), config.device)[0]
    new = sequence_log_prob(model, drawn.completions, config.temperature, config.micro_batch)
    change = exact_change(drawn.rewards, (new - old).to(drawn.rewards.device), drawn.prompt)
    limits = interval(change)
    steps = list(read_lines(run / STEPS))
    return {
        "steps": len(steps),
        "held_out": {name: row._asdict() for name, row in compare(base, scores).items()},
        "exact_change": {
            "estimate": change.estimate.tolist(),
            "se": change.standard_error.tolist(),
            "low": limits.low.tolist(),
            "high": limits.high.tolist(),
        },
        "log_ratio_rms": float((new - old).square().mean().sqrt()),
        "guard": _guard(steps),
    }


def _guard(steps: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Means over the run's steps; None where there is no guard.

    `share` of each objective in the weights μ, 0 in a step that needed no correction; `before` and
    `after`, first-order effects of the optimiser's step and of the one that was made, seen on the
    rows that chose it; `changed`, the length of the correction over that of the step.
    """
    told = [step["guard"] for step in steps if step.get("guard")]
    if not told:
        return None
    shares = weight_shares([guard["weights"] for guard in told])
    found: dict[str, Any] = {"share": shares.mean(0).tolist()}
    for name in ("before", "after"):
        seen = [guard[name] for guard in told if guard.get(name)]
        found[name] = torch.tensor(seen, dtype=torch.float64).mean(0).tolist() if seen else None
    changed = [guard["changed"] for guard in told if guard.get("changed") is not None]
    return found | {"changed": sum(changed) / max(len(changed), 1)}


def words(record: Mapping[str, Any]) -> list[str]:
    """The record as lines of a table."""
    names = record["objectives"]
    lines = [f"{'change on held-out prompts':28}" + "".join(f"{name:>26}" for name in names)]
    for run, found in record["runs"].items():
        cells = [found["held_out"][name] for name in names]
        shown = (f"{c['mean']:+.3f} [{c['low']:+.3f}, {c['high']:+.3f}]" for c in cells)
        lines.append(f"{run:28}" + "".join(f"{cell:>26}" for cell in shown))
    law = zip(record["law"]["estimate"], record["law"]["se"], strict=True)
    lines.append(
        f"{'law for equal weights':28}" + "".join(f"{f'{e:+.3f} ± {s:.3f}':>26}" for e, s in law)
    )
    return lines
