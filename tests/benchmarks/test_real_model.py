"""What makes a step of SmolLM2 cheap on a CPU, each on its own, and a step beside TRL's.

CPU time on one thread, of steps in turns: a minute in which the machine is slow, it is so for all.
Skipped where the model is not in the cache; `covlaw llm base smollm2` brings it.
"""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median
from typing import Any

import pytest
import torch
from quiet_trl import QUIET
from trl_clock import Clock, seconds_a_step

from covlaw.llm.base import default_root
from covlaw.llm.base.pretrained.smollm2 import folder_of
from covlaw.llm.config.train_config import TrainConfig
from covlaw.llm.loop.trainer import Trainer
from covlaw.llm.model.log_prob import sequence_log_prob
from covlaw.llm.model.parameters import trainable
from covlaw.llm.model.policy import load_policy
from covlaw.llm.model.shared_prompts import shared_prompts
from covlaw.llm.tasks import load_task

pytestmark = [
    pytest.mark.benchmark,
    pytest.mark.filterwarnings("default"),
    pytest.mark.skipif(not folder_of(default_root()).is_dir(), reason="smollm2 is not fetched"),
]
ROUNDS = 3
"""Steps that are timed of each run, in turns; the first step of each is not."""
PLAIN: dict[str, Any] = {"dtype": "float32", "sampling_dtype": "float32", "share_prompts": False,
                         "train_layers": 0}  # fmt: skip
"""As a run is without the preset: all layers, float32, each prompt read once a completion."""


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def seconds(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


class Run:
    """A run of preset `cpu-real` that steps when it is told to."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        own = {"out": str(folder), "steps": 2 * ROUNDS + 1, "threads": 1, "audits": 0}
        config = TrainConfig.preset("cpu-real", **{**own, "evaluate_every": 0, **settings})
        self.shares, self.trainer, self.done = config.share_prompts, Trainer(config), 0
        self.states = self.trainer.fresh()

    def step(self, *, audited: bool = False) -> float:
        """CPU seconds of the next step."""
        self.trainer.auditor.steps = frozenset({self.done} if audited else ())
        with shared_prompts(self.shares):
            spent = seconds(self._go)
        self.done += 1
        return spent

    def _go(self) -> None:
        self.states, _ = self.trainer.step(self.done, self.states)


def in_turns(works: Mapping[str, Callable[[], float]]) -> dict[str, list[float]]:
    """Seconds of each, in turns, so that what else the machine does falls on all alike."""
    for work in works.values():
        work()
    rounds = [{name: work() for name, work in works.items()} for _ in range(ROUNDS)]
    return {name: [seconds[name] for seconds in rounds] for name in works}


def ratio(dear: list[float], cheap: list[float]) -> float:
    """How many times less, as the median over the turns."""
    return median(d / c for d, c in zip(dear, cheap, strict=True))


def trl_seconds(folder: Path) -> float:
    """CPU seconds of a step of TRL's GRPOTrainer: the same model, questions, group and lengths."""
    trl = pytest.importorskip("trl", reason="the peer is TRL: pip install 'covlaw[bench]'")
    from datasets import Dataset

    config = TrainConfig.preset("cpu-real", out=str(folder))
    model, tokenizer = load_policy("smollm2")
    questions = load_task("arithmetic", "train", options=config.task_options)
    turns = [{"prompt": [{"role": "user", "content": q.prompt}]} for q in questions]
    settings = trl.GRPOConfig(
        output_dir=str(folder),
        per_device_train_batch_size=config.prompts * config.completions,
        num_generations=config.completions,
        steps_per_generation=1,
        max_completion_length=config.max_tokens,
        max_steps=ROUNDS + 1,
        learning_rate=config.learning_rate,
        temperature=config.temperature,
        **QUIET,
    )
    clock = Clock()
    trl.GRPOTrainer(
        model=model,
        processing_class=tokenizer,
        reward_funcs=lambda completions, **_: [float(len(c[0]["content"])) for c in completions],
        args=settings,
        train_dataset=Dataset.from_list(turns),
        callbacks=[clock],
    ).train()
    return seconds_a_step(clock.times)


def test_sampling_in_bfloat16_costs_less() -> None:
    from covlaw.llm.sampling.engine import TransformersEngine

    model, tokenizer = load_policy("smollm2")
    prompts = [f"What is {a} + {b}?" for a, b in zip(range(3, 11), range(12, 4, -1), strict=True)]

    def sampled(dtype: str) -> Callable[[], float]:
        engine = TransformersEngine(model, tokenizer, dtype=dtype)

        def work() -> None:
            engine.sync(model)
            engine.sample(prompts, 4, 24, 0.8, torch.Generator().manual_seed(0))

        return lambda: seconds(work)

    spent = in_turns({dtype: sampled(dtype) for dtype in ("float32", "bfloat16")})
    found = ratio(spent["float32"], spent["bfloat16"])
    print(
        f"\n24 tokens of 32 rows, the copy of the weights included: float32 "
        f"{median(spent['float32']):.1f} s, bfloat16 {found:.2f}× less"
    )
    assert found > 1


def test_a_copy_in_bfloat16_leaps_at_the_first_step(tmp_path: Path) -> None:
    """Why audits draw in float32: weights that were 4 bits lie where rounding turns them first."""
    run = Run(tmp_path / "run")
    trainer, config = run.trainer, run.trainer.config
    questions = [problem.prompt for problem in trainer.order.batch(0)]
    stream = torch.Generator().manual_seed(1)
    drawn = trainer.measuring.engine.sample(questions, 4, config.max_tokens, 0.8, stream)

    def read() -> torch.Tensor:
        both = (trainer.model, trainer.engine.model)
        return torch.stack([sequence_log_prob(m, drawn, config.temperature) for m in both])

    matrices = [p.detach() for p in trainable(trainer.model).values() if p.ndim == 2]
    half_way = sum(int((p.view(torch.int32) & 65535 == 32768).sum()) for p in matrices)
    share = half_way / sum(p.numel() for p in matrices)
    print(f"\n{share:.1%} of the weights are half way between two numbers of bfloat16")
    before, found = read(), []
    for _ in range(ROUNDS):
        run.step()
        after = read()
        found.append((after - before).abs().mean(1).tolist())
        before = after
    print("mean |log-ratio| of completions, step by step: float32, and the copy that samples")
    print(", ".join(f"{own:.2f} {rounded:.2f}" for own, rounded in found))
    assert found[0][1] > 1.5 * found[0][0]


def test_each_setting_of_the_preset_makes_a_step_cheaper(tmp_path: Path) -> None:
    runs = {"plain": Run(tmp_path / "plain", **PLAIN), "all": Run(tmp_path / "all")}
    for name in PLAIN:
        others = {key: value for key, value in PLAIN.items() if key != name}
        runs[name] = Run(tmp_path / name, **others)
    spent = in_turns({name: run.step for name, run in runs.items()})
    print(
        f"\na step of 32 completions without the preset's settings: {median(spent['plain']):.1f} s"
    )
    found = {name: ratio(spent["plain"], spent[name]) for name in runs if name != "plain"}
    for name, times in found.items():
        print(f"{name}: {median(spent[name]):.1f} s, {times:.2f}× less")
    print(f"all beside dtype alone: {ratio(spent['dtype'], spent['all']):.2f}× less")
    assert min(found.values()) > 1
    assert found["all"] > 2


def test_a_light_audit_costs_a_part_of_a_full_one(tmp_path: Path) -> None:
    """Beside a full audit with the preset's other settings, and with bfloat16 training alone."""
    few = {"audit_prompts": 8}  # with 16, as in the preset, half an hour
    settings = {
        "light": {"audit": "light"},
        "full": {"audit": "full"},
        "plainly": {"audit": "full", **PLAIN, "dtype": "bfloat16"},
    }
    runs = {name: Run(tmp_path / name, **few, **own) for name, own in settings.items()}
    runs["light"].step(audited=True)  # what forward mode needs is loaded once
    spent, said = {}, {"plainly": ": all layers, prompts read anew, float32 sampling"}
    for name, run in runs.items():
        plain = run.step()
        spent[name] = run.step(audited=True) - plain
        times = spent[name] / spent["light"]
        print(f"\nan audit of 64 completions, {name}{said.get(name, '')}: "
              f"{spent[name]:.1f} s, {times:.2f}×", flush=True)  # fmt: skip
    assert spent["full"] > 1.5 * spent["light"]
    assert spent["plainly"] > spent["full"]


def test_a_step_costs_less_than_trls(tmp_path: Path) -> None:
    theirs = trl_seconds(tmp_path / "trl")
    spent = in_turns(
        {"all": Run(tmp_path / "all").step, "plain": Run(tmp_path / "p", **PLAIN).step}
    )
    ours, alike = (median(spent[name]) for name in ("all", "plain"))
    print(
        f"\na step: TRL's {theirs:.1f} s; ours with all layers, float32 and unshared prompts "
        f"{alike:.1f} s, {theirs / alike:.2f}× less; as preset {ours:.1f} s, {theirs / ours:.2f}×"
    )
    assert ours < theirs
