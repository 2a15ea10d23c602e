"""A plain TRL run on three rewards that keeps its rollouts: covlaw has no part in the training.

    python examples/trl_run.py outputs

It wrote `examples/trl_completions`, which `examples/inspect_a_run.ipynb` reads. It needs
`pip install 'covlaw[trl]'` for the small base model and the rewards, and a minute on a CPU.
"""

import sys

from datasets import Dataset
from trl import GRPOConfig, GRPOTrainer
from trl_audit import brief, clear, right

from covlaw.llm.model.policy import load_policy
from covlaw.llm.tasks import load_task


def main(folder: str, steps: int = 24) -> None:
    """Train the small base model with weights 1, 1 and .5, and log every completion."""
    model, tokenizer = load_policy("base")
    rows = [{"prompt": p.prompt, "answer": p.reference} for p in load_task("arithmetic", "train")]
    GRPOTrainer(
        model=model,
        processing_class=tokenizer,
        reward_funcs=[right, brief, clear],
        args=GRPOConfig(
            output_dir=folder,
            max_steps=steps,
            learning_rate=5e-5,
            per_device_train_batch_size=128,
            num_generations=8,
            reward_weights=[1.0, 1.0, 0.5],
            max_completion_length=44,
            scale_rewards="none",
            log_completions=True,
            logging_steps=1,
            num_completions_to_print=0,
            bf16=False,
            use_cpu=True,
            dataloader_pin_memory=False,
            report_to="none",
            save_strategy="no",
            disable_tqdm=True,
        ),
        train_dataset=Dataset.from_list(rows),
    ).train()


if __name__ == "__main__":
    main(sys.argv[1])
