"""A TRL run on three rewards with a scalarizer, an audit and a guard: three lines of a TRL script.

    python examples/trl_audit.py                                # weights 1/3 each
    python examples/trl_audit.py --scalarizer covariance_mgda   # weights from covariances
    python examples/trl_audit.py --guard                        # no reward is to fall

It needs `pip install 'covlaw[trl]'`, and takes half a minute on a CPU once the small base model is
there (`covlaw llm base`). docs/trl.md says more.
"""

import argparse
import re
import tempfile
from collections.abc import Sequence
from typing import Any

import torch

from covlaw.llm.rewards.clarity import is_clear
from covlaw.trl import Audit, Guard, Scalarized


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


def train(model: Any, tokenizer: Any, rows: list[dict[str, str]], given: Any, **settings: Any):
    """Train on `rows` with TRL and return the audit."""
    from datasets import Dataset
    from trl import GRPOConfig, GRPOTrainer

    audit = Audit(rows=32, every=1)
    trainer = Scalarized(GRPOTrainer)(
        scalarizer=given.scalarizer,
        callbacks=[audit, Guard(rows=32)] if given.guard else [audit],
        model=model,
        processing_class=tokenizer,
        reward_funcs=[right, brief, clear],
        args=GRPOConfig(**settings),
        train_dataset=Dataset.from_list(rows),
    )
    trainer.train()
    return audit


def main() -> None:
    """Read the command line and train."""
    from covlaw.llm.model.policy import load_policy
    from covlaw.llm.tasks import load_task

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="base", help="base, a folder or a hub id")
    parser.add_argument("--scalarizer", default="linear")
    parser.add_argument("--guard", action="store_true")
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--learning-rate", type=float, default=3e-4)
    given = parser.parse_args()
    rows = [{"prompt": p.prompt, "answer": p.reference} for p in load_task("arithmetic", "train")]
    with tempfile.TemporaryDirectory() as folder:
        audit = train(
            *load_policy(given.model),
            rows,
            given,
            output_dir=folder,
            max_steps=given.steps,
            learning_rate=given.learning_rate,
            # no length normalisation, no division by deviations: the step follows the law
            loss_type="dr_grpo",
            scale_rewards="none",
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
    print(*audit.audited, sep="\n")


if __name__ == "__main__":
    main()
