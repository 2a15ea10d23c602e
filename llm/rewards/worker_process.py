"""The process that runs a user's rewards: a batch a line in, its scores a line out (JSON).

Started as `python -m`, so that the functions are imported here and nowhere else.
"""

import json
import os
import sys
import traceback
from typing import Any

import torch

from covlaw.llm.rewards import RewardState, load_reward
from covlaw.llm.rewards.calling import RewardBatch, call
from covlaw.llm.rewards.lifetime import end_with, ended_after
from covlaw.llm.rewards.signature import missing_words, style_of
from covlaw.llm.tasks.problem import Conversation
from covlaw.theory._numerics.errors import CovlawError


def main() -> None:
    """Answer until standard input ends: import a reward, or score a batch with it."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what the user prints goes to stderr
    sys.path[:] = json.loads(sys.argv[1])
    end_with(int(sys.argv[2]))
    for line in sys.stdin:
        question = json.loads(line)
        with ended_after(question["seconds"]):
            answer = _answer(question)
        print(json.dumps(answer), file=answers, flush=True)


def _answer(question: dict[str, Any]) -> dict[str, Any]:
    try:
        function = load_reward(question["target"])
    except CovlawError as error:
        return {"error": str(error)}
    if "completions" in question:
        return _score(function, question)
    style = style_of(function, question.get("columns", ()))
    if "columns" in question and style.missing:
        return {"error": missing_words(style, question["columns"])}
    return {}


def _score(function: Any, batch: dict[str, Any]) -> dict[str, Any]:
    state = {k: torch.tensor(v, dtype=torch.float64) for k, v in batch["state"].items()}
    lengths = torch.tensor(batch["lengths"], dtype=torch.int64)
    prompts = [p if isinstance(p, str) else Conversation(p) for p in batch.get("prompts", ())]
    given = RewardBatch(
        batch["completions"],
        batch["references"],
        lengths,
        RewardState(**state),
        prompts,
        batch.get("columns", {}),
    )
    try:
        found = call(function, given)
        return {"scores": found.tolist() if isinstance(found, torch.Tensor) else found}
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}{_place(error)}"}


def _place(error: Exception) -> str:
    """Where it was raised, if in code other than this file's."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return "" if last.filename == __file__ else f" ({last.filename}, line {last.lineno})"


if __name__ == "__main__":
    main()
