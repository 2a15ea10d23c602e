"""A TRL run on three rewards, with covlaw's alarm before each step and what the step did after it.

    python examples/trl_audit.py                                # weights 1/3 each
    python examples/trl_audit.py --scalarizer covariance_mgda   # weights from covariances

It needs `pip install 'covlaw[llm]' trl`, and takes half a minute on a CPU once the small base model
is there (`covlaw llm base`). For your own run: `Audit` and, if you like, `Score`.
"""

import argparse
import re
import tempfile
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from trl_callback import Audit, Rewards, reward_matrix

from covlaw.llm.rewards.clarity import is_clear
from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory.scalarizers import Batch, Observation, make_scalarizer


class Score:
    """One reward for TRL, made of several by a covlaw scalarizer.

    Raises:
        CovlawError: for a scalarizer that needs what TRL does not hand out (gradients, losses,
            the advantage).
    """

    def __init__(self, name: str, rewards: Rewards, **options: Any) -> None:
        self.name, self.rewards = name, rewards
        self.scalarizer = make_scalarizer(name, list(rewards), **options)
        self.state = self.scalarizer.init()
        missing = self.scalarizer.before | self.scalarizer.after - {"covariance", "values"}
        if missing:
            raise CovlawError(f"{name} needs {', '.join(sorted(missing))}: TRL does not give it")

    def __call__(self, prompts: Sequence[Any], **columns: Any) -> list[float]:
        """Score the batch that TRL trains on; the scalarizer may learn from it."""
        rewards = reward_matrix(self.rewards, prompts=prompts, **columns)
        seen: dict[str, int] = {}
        prompt = torch.tensor([seen.setdefault(repr(text), len(seen)) for text in prompts])
        self.state, score = self._signal(rewards, prompt)
        return score.tolist()

    def peek(self, rewards: Tensor, prompt: Tensor) -> Tensor:
        """(N,) score of other completions, from which the scalarizer does not learn."""
        return self._signal(rewards, prompt)[1]

    def learn(self, seen: Observation) -> None:
        """Adapt after a step."""
        self.state = self.scalarizer.update(self.state, seen)

    def _signal(self, rewards: Tensor, prompt: Tensor) -> tuple[Any, Tensor]:
        state, signal = self.scalarizer.signal(self.state, Batch(rewards, prompt))
        if signal.advantage is not None:
            raise CovlawError(f"{self.name} sets the advantage: TRL makes its own of a score")
        return state, signal.score


def right(completions: Sequence[str], answer: Sequence[str], **_: Any) -> list[float]:
    """1 where the last box holds the answer."""
    boxes = [re.findall(r"\\boxed\{\s*(\S+?)\s*\}", text) for text in completions]
    return [float(found[-1:] == [wanted]) for found, wanted in zip(boxes, answer, strict=True)]


def brief(completion_ids: Sequence[Sequence[int]], **_: Any) -> list[float]:
    """1 where at most 20 tokens were written."""
    return [float(len(ids) <= 20) for ids in completion_ids]


def clear(completions: Sequence[str], **_: Any) -> list[float]:
    """1 where the answer is reached in steps."""
    return [float(is_clear(text)) for text in completions]


REWARDS = {"right": right, "brief": brief, "clear": clear}


def train(model: Any, tokenizer: Any, rows: list[dict[str, str]], scalarizer: str, **settings: Any):
    """Train on `rows` with TRL and return the audit."""
    from datasets import Dataset
    from trl import GRPOConfig, GRPOTrainer

    score = Score(scalarizer, REWARDS)
    audit = Audit(REWARDS, rows[:32], score.peek, score.learn)
    # for comparisons with the law: no length normalisation, no division by deviations, no KL
    law = {"loss_type": "dr_grpo", "scale_rewards": "none", "beta": 0.0}
    GRPOTrainer(
        model=model,
        processing_class=tokenizer,
        reward_funcs=score,
        args=GRPOConfig(**law, **settings),
        train_dataset=Dataset.from_list(rows),
        callbacks=[audit],
    ).train()
    return audit


def main() -> None:
    """Read the command line and train."""
    from covlaw.llm.model.policy import load_policy
    from covlaw.llm.tasks import load_task

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="base", help="base, a folder or a hub id")
    parser.add_argument("--scalarizer", default="linear")
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--learning-rate", type=float, default=3e-4)
    given = parser.parse_args()
    rows = [{"prompt": p.prompt, "answer": p.reference} for p in load_task("arithmetic", "train")]
    with tempfile.TemporaryDirectory() as folder:
        train(
            *load_policy(given.model),
            rows,
            given.scalarizer,
            output_dir=folder,
            max_steps=given.steps,
            learning_rate=given.learning_rate,
            per_device_train_batch_size=256,
            num_generations=16,
            max_completion_length=44,
            bf16=False,
            use_cpu=not torch.cuda.is_available(),
            dataloader_pin_memory=False,
            report_to="none",
            logging_strategy="no",
            save_strategy="no",
            disable_tqdm=True,
        )


if __name__ == "__main__":
    main()
