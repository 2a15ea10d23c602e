"""examples/trl_audit.py in TRL itself: what the callback prints is right, and training unchanged.

Skipped where TRL is not installed; `make test-trl` installs it and runs these.
"""

import copy
import os
import re
import subprocess
import sys
from pathlib import Path

import first_token_world as world
import pytest
import referee
import torch
from scipy import stats
from transformers import TrainerCallback

trl = pytest.importorskip("trl", reason="the examples run in TRL: pip install 'covlaw[bench]'")

from trl_callback import Audit  # noqa: E402  # on the path through the world

pytestmark = pytest.mark.filterwarnings("default")  # TRL's own are not ours to forbid

STEPS, COMPLETIONS, RATE = 3, 64, 1e-5
LINE = re.compile(r"step (\d+) (\w+): law (\S+) ± (\S+), did (\S+) ± (\S+)( ALARM)?")


class Snapshots(TrainerCallback):
    """Copies of the policy before and after each step."""

    def __init__(self) -> None:
        self.before, self.after = [], []

    def on_step_begin(self, args, state, control, **kwargs) -> None:
        self.before.append(copy.deepcopy(kwargs["model"].state_dict()))

    def on_step_end(self, args, state, control, **kwargs) -> None:
        self.after.append(copy.deepcopy(kwargs["model"].state_dict()))


def run(folder: Path, weights, audit: Audit | None, **changed):
    """A few steps of TRL's own loop with TRL's own weights: the kept policies, the model."""
    from datasets import Dataset

    torch.manual_seed(0)
    model, tokenizer = world.policy()
    snapshots, settings = Snapshots(), {
        "output_dir": str(folder),
        "per_device_train_batch_size": len(world.ROWS) * 16,
        "num_generations": 16,
        "max_completion_length": 1,
        "max_steps": STEPS,
        "learning_rate": 1e-3,
        "reward_weights": list(weights.values()),
        "loss_type": "dr_grpo",
        "scale_rewards": "none",
        "beta": 0.0,
        "bf16": False,
        "use_cpu": True,
        "dataloader_pin_memory": False,
        "report_to": "none",
        "logging_strategy": "no",
        "save_strategy": "no",
        "disable_tqdm": True,
    }  # fmt: skip
    trl.GRPOTrainer(
        model=model,
        processing_class=tokenizer,
        reward_funcs=list(world.rewards(weights).values()),
        args=trl.GRPOConfig(**(settings | changed)),
        train_dataset=Dataset.from_list(world.ROWS),
        callbacks=[snapshots] if audit is None else [audit, snapshots],
    ).train()
    return snapshots, model, tokenizer


@pytest.fixture(scope="module", params=[world.WEIGHTS, world.ALIGNED], ids=["planted", "aligned"])
def ran(request, tmp_path_factory):
    """A run with its audit: weights, printed lines, audit, and the policies' log-probs."""
    weights, printed = request.param, []
    share = torch.tensor(list(weights.values()), dtype=torch.float64)
    audit = Audit(
        world.rewards(weights),
        world.ROWS,
        lambda rewards, prompt: rewards @ share,
        completions=COMPLETIONS,
        show=lambda lines: printed.extend(lines.splitlines()),
    )
    snapshots, _, tokenizer = run(tmp_path_factory.mktemp("run"), weights, audit)
    reader = world.policy()[0]

    def read(state):
        reader.load_state_dict(state)
        return world.log_probs(reader, tokenizer)

    pairs = [(read(a), read(b)) for a, b in zip(snapshots.before, snapshots.after, strict=True)]
    return weights, [LINE.fullmatch(line).groups() for line in printed], audit, pairs


def test_the_printed_numbers_are_the_audits(ran) -> None:
    weights, lines, audit, _ = ran
    found = [
        [float(x[j]) for x in (*a.forecast.law[:2], *a.did[:2])]
        for a in audit.audited
        for j in range(len(weights))
    ]
    printed = [[float(x) for x in line[2:6]] for line in lines]
    torch.testing.assert_close(printed, found, rtol=0, atol=0.5e-4)  # half a last digit
    assert [line[:2] for line in lines] == [(str(k + 1), n) for k in range(STEPS) for n in weights]


def test_its_numbers_are_the_estimators_on_the_same_samples(ran) -> None:
    """A referee in rationals, and log-probs from one plain pass over the kept policies.

    What separates the two is the rounding of float32 logits, of order 1, twice a ratio.
    """
    weights, _, audit, pairs = ran
    close = 2 * world.WIDTH * torch.finfo(torch.float32).eps
    for found, (old, new) in zip(audit.audited, pairs, strict=True):
        drawn = found.forecast.drawn
        token, prompt = drawn.tokens[:, 0], drawn.prompt
        score = sum(w * world.TABLES[name][token] for name, w in weights.items())
        ratio = (new - old).exp()[prompt, token]
        for j, name in enumerate(weights):
            for signal, said in ((score, found.forecast.law), (ratio, found.did)):
                exact = referee.covariances(world.TABLES[name][token], signal, prompt, None)
                each = torch.tensor([float(c) for c in exact], dtype=torch.float64)
                assert abs(said.estimate[j] - each.mean()) <= close
                assert abs(said.standard_error[j] - each.std() / len(each) ** 0.5) <= close


def test_what_it_says_of_a_step_is_what_the_step_did(ran) -> None:
    """Exact expected rewards by enumeration, before and after; alarms where the fall is planted."""
    weights, lines, audit, pairs = ran
    changes = [world.expected(b, weights) - world.expected(a, weights) for a, b in pairs]
    quantile = float(stats.t.isf(RATE / (2 * STEPS) / 2, len(world.ROWS) - 1))
    for found, change in zip(audit.audited, changes, strict=True):
        error = (found.did.estimate - change).abs()
        assert (error <= quantile * found.did.standard_error).all()
    planted = weights is world.WEIGHTS
    assert [bool(line[-1]) for line in lines] == [False, planted] * STEPS
    assert all((change[1] < 0) == planted for change in changes)


def test_training_is_the_same_with_and_without_the_audit(tmp_path: Path) -> None:
    audit = Audit(world.rewards(world.WEIGHTS), world.ROWS, lambda rewards, _: rewards[:, 0])
    watched, plain = (run(tmp_path, world.WEIGHTS, a)[1].state_dict() for a in (audit, None))
    assert audit.audited
    assert all(torch.equal(watched[name], plain[name]) for name in plain)


@pytest.mark.parametrize("scalarizer", ["linear", "covariance_mgda", "ctwa"])
def test_the_script_runs_from_its_command_line(tmp_path: Path, scalarizer: str) -> None:
    for part in world.policy():
        part.save_pretrained(tmp_path)
    command = [sys.executable, str(world.EXAMPLES / "trl_audit.py"), "--model", str(tmp_path)]
    done = subprocess.run(  # noqa: S603 - our own script
        [*command, "--steps", "1", "--scalarizer", scalarizer],
        capture_output=True,
        text=True,
        timeout=120,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    found = [LINE.fullmatch(line) for line in done.stdout.splitlines() if line.startswith("step")]
    assert [line[2] for line in found] == ["right", "brief", "clear"]
