"""Audits and evaluations draw from the policy that is trained, not from its copy in bfloat16."""

from pathlib import Path
from typing import Any

import torch
from small_runs import small_run

from covlaw.llm.audit.record import load_evidence
from covlaw.llm.model.log_prob import sequence_log_prob
from covlaw.llm.sampling.engine import TransformersEngine
from covlaw.llm.train import train
from covlaw.records.runs import EVALUATIONS, STEPS, read_lines

LEAST = 1e-12
"""A learning rate that changes no draw."""


def test_a_copy_in_bfloat16_makes_a_leap_of_a_small_step(policy: Any) -> None:
    """From weights half way between two numbers of bfloat16 the least step rounds to the next."""
    model, tokenizer = policy
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(((p.view(torch.int32) & -65536) | 32768).view(torch.float32))
    engine = TransformersEngine(model, tokenizer, dtype="bfloat16")
    drawn = engine.sample(["1 + 2 = ?"], 16, 6, 1.0, torch.Generator().manual_seed(0))

    def read() -> torch.Tensor:
        engine.sync(model)
        return torch.stack([sequence_log_prob(m, drawn).sum() for m in (model, engine.model)])

    before = read()
    with torch.enable_grad():
        ids = torch.cat([drawn.prompt_tokens, drawn.tokens], 1)
        model(input_ids=ids, labels=ids).loss.neg().backward()
    with torch.no_grad():
        for p in model.parameters():
            if p.grad is not None:
                p += 1e-5 * p.abs() * p.grad.sign()
    change, rounded = read() - before
    assert change > 0
    # a rounded weight turns by 2^-8 to 2^-7 of itself where half of them turn, the step is 1e-5:
    # some 200 to 400 times, of which products of activations in bfloat16 may hide nine tenths
    assert rounded > 20 * change


def test_what_is_measured_does_not_depend_on_the_precision_that_samples(
    policy_folder: Path, tmp_path: Path
) -> None:
    settings = {"steps": 1, "audits": 1, "evaluate_every": 1, "evaluate_prompts": 4}
    runs = [
        train(
            small_run(
                policy_folder, tmp_path / d, sampling_dtype=d, learning_rate=LEAST, **settings
            )
        )
        for d in ("float32", "bfloat16")
    ]
    files = [next((run / "audits").glob("*.safetensors")) for run in runs]
    exact, half = (load_evidence(file, ("digits", "brief"))[0] for file in files)
    assert torch.equal(exact.rewards, half.rewards)
    measured = [next(read_lines(run / STEPS))["audits"][0]["measured"] for run in runs]
    assert measured[0] == measured[1]
    assert measured[0]["estimate"] == [0.0, 0.0]  # with the same random numbers nothing changed
    first, second = (list(read_lines(run / EVALUATIONS)) for run in runs)
    assert first == second
