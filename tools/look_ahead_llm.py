"""Where the base's own samples said that equal weights lead, against where LLM runs ended (T57).

    python tools/look_ahead_llm.py runs/linear-seed0 runs/linear-seed1 ... --out FILE
    python tools/look_ahead_llm.py --page  # the table of docs/inspect.md, from the record

Reads finished runs (their `model/`), samples base and end on prompts of the training split, and
writes a record a run: KL of the end from the base, its rewards, and those of the frontier along
equal weights at that KL, from the base's samples alone; and the bare law's signs there.
"""

import argparse
import json
import re
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from covlaw.figures._drawing.render import recorded
from covlaw.llm.model.log_prob import sequence_log_prob
from covlaw.llm.model.policy import load_policy
from covlaw.llm.rewards import initial_state
from covlaw.llm.sampling.engine import Completions, TransformersEngine
from covlaw.llm.sampling.scoring import Rewards
from covlaw.llm.tasks import load_task
from covlaw.records.lines import read_records
from covlaw.records.runs import read_config
from covlaw.theory.estimators.covariance import within_prompt_covariance
from covlaw.theory.estimators.frontier import frontier

PAGE = Path(__file__).parents[1] / "docs" / "inspect.md"
BLOCK = re.compile(r"<!-- ends -->\n.*?<!-- /ends -->", re.DOTALL)
PROMPTS, BASE, END, SEED = 40, 64, 32, 20250
"""Prompts, completions of each from the base and from a run's end, and the seed of both."""
STRENGTHS = torch.linspace(0, 4, 81, dtype=torch.float64).square()


class Sampled(NamedTuple):
    """A policy's completions of the same prompts."""

    model: Any
    drawn: Completions
    rewards: Tensor
    prompt: Tensor
    state: Any
    """What lengths are judged against: the base's."""


def sampled(source: str, each: int, config: dict[str, Any], state: Any = None) -> Sampled:
    """Sample and score as the run's settings say, lengths against `state` or their own mean."""
    torch.set_num_threads(1)
    model, tokenizer = load_policy(source)
    problems = load_task(config["task"], "train", limit=PROMPTS)
    generator = torch.Generator().manual_seed(SEED)
    prompts = [p.prompt for p in problems]
    engine = TransformersEngine(model, tokenizer)
    drawn = engine.sample(prompts, each, config["max_tokens"], config["temperature"], generator)
    score = Rewards(config["rewards"])
    state = state or initial_state(drawn.lengths.double())
    rewards = score(drawn, problems, state)
    prompt = torch.arange(len(problems)).repeat_interleave(each)
    return Sampled(model, drawn, rewards, prompt, state)


def by_prompt(values: Tensor) -> Tensor:
    """(N, ...) → (P, ...) means."""
    return values.unflatten(0, (PROMPTS, -1)).mean(1)


def compared(run: Path, base: Sampled, config: dict[str, Any]) -> dict[str, Any]:
    """One run's end beside the frontier at its KL."""
    end = sampled(str(run / "model"), END, config, base.state)
    now, then = (sequence_log_prob(p.model, end.drawn) for p in (end, base))
    each = by_prompt(now - then)
    kl = float(each.mean())
    equal = torch.ones(base.rewards.shape[1], dtype=torch.float64)
    ahead = frontier(base.rewards, base.prompt, equal, STRENGTHS)
    shown = ~torch.isnan(ahead.kl)
    place = int((ahead.kl[shown] - kl).abs().argmin())
    law = within_prompt_covariance(base.rewards, base.rewards.sum(1), base.prompt)
    start, last = by_prompt(base.rewards), by_prompt(end.rewards)
    change = last - start
    return {
        "run": run.name,
        "scalarizer": config["scalarizer"],
        "guard": config.get("guard", "off"),
        "seed": config["seed"],
        "objectives": list(config["rewards"]),
        "kl": kl,
        "kl_se": float(each.std() / PROMPTS**0.5),
        "start": start.mean(0).tolist(),
        "end": last.mean(0).tolist(),
        "change": change.mean(0).tolist(),
        "change_se": (change.std(0) / PROMPTS**0.5).tolist(),
        "ahead_kl": float(ahead.kl[place]),
        "samples_end": float(ahead.kl[shown].max()),
        "ahead": ahead.values[place].tolist(),
        "ahead_se": ahead.standard_error[place].tolist(),
        "law": law.estimate.tolist(),
        "law_se": law.standard_error.tolist(),
    }


def table(rows: list[dict[str, Any]]) -> str:
    """The records as a table in Markdown."""
    names = " / ".join(rows[0]["objectives"])
    lines = [
        f"| run | KL of the end | {names}: base | end | frontier there (KL) |",
        "| --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        ends = (" / ".join(f"{v:.2f}" for v in row[key]) for key in ("start", "end", "ahead"))
        kls = f"{row['kl']:.2f} ± {row['kl_se']:.2f}", *ends
        lines.append(f"| {row['run']} | {' | '.join(kls)} ({row['ahead_kl']:.2f}) |")
    return "\n".join(lines)


def page(text: str) -> str:
    """Replace what stands between the marks."""
    rows = read_records(recorded("look-ahead-llm") / "look_ahead_llm.jsonl")
    return BLOCK.sub(f"<!-- ends -->\n{table(rows)}\n<!-- /ends -->", text)


def main() -> None:
    """Read the command line, compare, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="*", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--page", action="store_true", help="write the table of docs/inspect.md")
    given = parser.parse_args()
    if given.page:
        PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
        return
    if not given.runs or given.out is None:
        parser.error("give runs and --out FILE, or --page")
    configs = [read_config(run) for run in given.runs]
    base = sampled(configs[0]["model"], BASE, configs[0])
    rows = [compared(run, base, config) for run, config in zip(given.runs, configs, strict=True)]
    print(table(rows))
    given.out.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


if __name__ == "__main__":
    main()
