"""The larger base model: continued bit for bit, mixed evenly, stopped without loss."""

import json
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

from covlaw.llm.base import large
from covlaw.llm.base.corpus import IGNORED, build_corpora, language_tokenizer
from covlaw.llm.base.folder import find_damage, reproducible
from covlaw.llm.base.large import LOSSES, train_large
from covlaw.llm.base.large_config import LargeConfig
from covlaw.llm.base.mixed_batches import ahead, draw_batch
from covlaw.llm.base.sft import new_model
from covlaw.llm.tasks.arithmetic import calculations
from covlaw.theory._numerics.errors import CovlawError

SMALL = LargeConfig(
    width=16, layers=1, heads=2, feed_forward=24, steps=8, batch=12, facts=8, samples=1,
    difficulty="teens", also=("products",), warm_up=2, micro_batch=5, checkpoint_every=3,
)  # fmt: skip


class EnoughError(CovlawError):
    pass


def stop_at(last: int):
    def progress(done: int, total: int, loss: float) -> None:
        assert total == SMALL.steps
        if done == last:
            raise EnoughError("time is up")

    return progress


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train_large(SMALL, tmp_path_factory.mktemp("large") / "unbroken")


def same(first: Path, second: Path) -> bool:
    names = ("model/model.safetensors", "model/base.json", "model/tokenizer.json", LOSSES)
    folders = first.parent, second.parent
    return all(len({(f / name).read_bytes() for f in folders}) == 1 for name in names)


@pytest.mark.parametrize("last", [1, 3, 8])
def test_a_stopped_training_continues_bit_for_bit(
    last: int, unbroken: Path, tmp_path: Path
) -> None:
    with pytest.raises(CovlawError, match=f"time is up .stopped after {last} of 8 steps; the same"):
        train_large(SMALL, tmp_path, stop_at(last))
    assert (tmp_path / "checkpoints" / f"step-{last:06d}").is_dir()
    assert not (tmp_path / "model").exists()
    assert same(train_large(SMALL, tmp_path), unbroken)


@pytest.mark.parametrize("last", [2, 5])
def test_a_killed_training_continues_from_its_newest_checkpoint(
    last: int, unbroken: Path, tmp_path: Path
) -> None:
    def kill(done: int, *_: object) -> None:
        if done == last:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_large(SMALL, tmp_path, kill)
    assert same(train_large(SMALL, tmp_path), unbroken)


def test_the_result_is_a_plain_folder(unbroken: Path) -> None:
    assert find_damage(unbroken) is None
    assert AutoModelForCausalLM.from_pretrained(unbroken).config.num_hidden_layers == 1
    assert json.loads((unbroken / "base.json").read_text())["measured"]["n"] == 551
    assert not (unbroken.parent / "checkpoints").exists()


def test_a_batch_asks_every_difficulty_evenly() -> None:
    corpora = build_corpora(SMALL.difficulties)
    batch = draw_batch(corpora, SMALL, step=0)
    for texts in batch:
        written = corpora[0].tokenizer.batch_decode(texts.tokens)
        asked = [" ".join(text.split()[:3]) for text in written]
        for half, difficulty in zip(np.array_split(asked, 2), SMALL.difficulties, strict=True):
            known = {" ".join(c.prompt.split()[:3]) for c in calculations(difficulty)}
            assert set(half) <= known
    assert any("*" in question for question in asked)


def test_no_two_steps_read_the_same_batch() -> None:
    corpora = build_corpora(SMALL.difficulties)
    drawn = [draw_batch(corpora, SMALL, step).answers.tokens for step in range(SMALL.steps)]
    assert not any(torch.equal(first, second) for first, second in combinations(drawn, 2))


def test_each_step_has_its_share_of_the_learning_rate(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[int] = []

    def frozen(steps: int, warm_up: int):
        assert (steps, warm_up) == (SMALL.steps, SMALL.warm_up)
        return lambda step: asked.append(step) or 0.0

    monkeypatch.setattr(large, "schedule", frozen)
    folder = train_large(SMALL, tmp_path)
    assert asked == list(range(SMALL.steps))
    with reproducible(SMALL):  # at a rate of 0 nothing moves
        untrained = new_model(SMALL, build_corpora(SMALL.difficulties)[0].tokenizer)
    trained = AutoModelForCausalLM.from_pretrained(folder).state_dict()
    assert all(torch.equal(trained[name], p) for name, p in untrained.state_dict().items())


def test_difficulties_share_a_language() -> None:
    words = set(build_corpora(("tens", "products"))[1].tokenizer.get_vocab())
    assert words == set(language_tokenizer("tens").get_vocab()) | {"*", "multiply", "by"}


def test_padding_between_difficulties_is_no_loss(unbroken: Path) -> None:
    batch = draw_batch(build_corpora(SMALL.difficulties), SMALL, step=0).answers
    position = torch.arange(batch.tokens.shape[1])
    assert bool((batch.labels[position >= batch.length[:, None]] == IGNORED).all())


def test_micro_batches_only_round(unbroken: Path, tmp_path: Path) -> None:
    whole = train_large(replace(SMALL, micro_batch=100, steps=1), tmp_path / "whole")
    split = train_large(replace(SMALL, steps=1), tmp_path / "split")
    first, second = (json.loads((f.parent / LOSSES).read_text())["loss"] for f in (whole, split))
    # sums of up to 12 × 44 float32 terms in another order, relative to the loss itself
    assert abs(first - second) <= 2 * 12 * 44 * torch.finfo(torch.float32).eps * first


def test_another_training_in_the_folder_is_named(unbroken: Path) -> None:
    with pytest.raises(CovlawError, match="width is 16 there, 32 here"):
        train_large(replace(SMALL, width=32), unbroken.parent)


def test_batches_are_made_ahead_in_order() -> None:
    assert list(ahead(lambda k: k * k, 2, 6)) == [4, 9, 16, 25]
    assert list(ahead(lambda k: k, 3, 3)) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"also": ("teen",)}, "did you mean teens"),
        ({"dtype": "bf16"}, "unknown dtype"),
        ({"batch": 1}, "2 difficulties need"),
        ({"micro_batch": 0}, "micro_batch is 0"),
    ],
)
def test_impossible_settings_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(CovlawError, match=message):
        replace(SMALL, **change)  # type: ignore[arg-type]


def test_the_default_has_about_a_hundred_million_parameters() -> None:
    config = LargeConfig()
    layer = 4 * config.width**2 + 3 * config.width * config.feed_forward
    assert 1.0e8 < config.layers * layer < 1.2e8
