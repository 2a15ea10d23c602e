"""CPU seconds of a training step with vLLM: `vllm_steps.py ours|trl FOLDER SEED` prints them.

A process a side, since a process serves one engine. Both sides get the same model, prompts, group
size, longest completion, precision and optimizer, an eager float32 engine, and weights by
`reload_weights`: TRL's own way of loading them fails in vLLM's CPU build.
"""

import functools
import os
import sys
import time
from pathlib import Path
from typing import Any

from covlaw.llm.config.train_config import TrainConfig
from covlaw.llm.loop.trainer import Trainer
from covlaw.llm.model.policy import load_policy
from covlaw.llm.sampling.vllm.start import import_vllm
from covlaw.llm.tasks import load_task

PROMPTS, COMPLETIONS, TOKENS, RATE = 16, 16, 44, 5e-5
STEPS, WARM = 8, 2
LAUNCHED = {
    **{"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1"},
    **{"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29591"},
}


def ours(folder: Path, seed: int) -> list[float]:
    config = TrainConfig(
        out=str(folder),
        rewards=("conciseness_reference",),
        engine="vllm",
        steps=STEPS,
        prompts=PROMPTS,
        completions=COMPLETIONS,
        max_tokens=TOKENS,
        learning_rate=RATE,
        audits=0,
        seed=seed,
    )
    trainer = Trainer(config)
    states, times = trainer.fresh(), []
    for step in range(STEPS):
        states, _ = trainer.step(step, states)
        times.append(time.process_time())
    return times


def theirs(folder: Path, seed: int) -> list[float]:
    import_vllm()  # the same settings of the process
    for name, value in LAUNCHED.items():  # TRL starts no engine without a launcher
        os.environ.setdefault(name, value)
    import trl
    from datasets import Dataset
    from transformers import TrainerCallback
    from trl.generation import vllm_generation

    times: list[float] = []

    class Clock(TrainerCallback):
        def on_step_end(self, *_: Any, **__: Any) -> None:
            times.append(time.process_time())

    def sync(self: Any) -> None:
        weights = list(self.model.state_dict().items())
        self.llm.collective_rpc("reload_weights", kwargs={"weights_iterator": iter(weights)})
        self.llm.reset_prefix_cache()

    eager = functools.partial(vllm_generation.LLM, enforce_eager=True, dtype="float32")
    vllm_generation.LLM = eager
    vllm_generation.VLLMGeneration.sync_weights = sync
    model, tokenizer = load_policy("base")
    prompts = [{"prompt": p.prompt} for p in load_task("arithmetic", "train")]
    config = trl.GRPOConfig(
        output_dir=str(folder),
        per_device_train_batch_size=PROMPTS * COMPLETIONS,
        num_generations=COMPLETIONS,
        steps_per_generation=1,
        max_completion_length=TOKENS,
        max_steps=STEPS,
        learning_rate=RATE,
        lr_scheduler_type="constant",
        beta=0.0,
        temperature=1.0,
        bf16=False,
        use_cpu=True,
        gradient_checkpointing=False,
        dataloader_pin_memory=False,
        report_to="none",
        logging_strategy="no",
        save_strategy="no",
        disable_tqdm=True,
        seed=seed,
        use_vllm=True,
        vllm_mode="colocate",
        vllm_max_model_length=128,
    )
    trl.GRPOTrainer(
        model=model,
        processing_class=tokenizer,
        reward_funcs=lambda completion_ids, **_: [1 / len(ids) for ids in completion_ids],
        args=config,
        train_dataset=Dataset.from_list(prompts),
        callbacks=[Clock()],
    ).train()
    return times


if __name__ == "__main__":
    side = {"ours": ours, "trl": theirs}[sys.argv[1]]
    found = side(Path(sys.argv[2]), int(sys.argv[3]))
    print("SECONDS", (found[-1] - found[WARM - 1]) / (len(found) - WARM))
