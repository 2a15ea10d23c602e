"""The base model: reproducible, complete on disk, cached, repaired, and in conflict with itself."""

import json
import logging
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from covlaw.llm.base import PRESETS, BaseConfig, StyleShare, default_root, ensure_base, train_base
from covlaw.llm.base.cache import fingerprint
from covlaw.llm.base.corpus import IGNORED, build_corpus, draw_answers
from covlaw.llm.base.folder import find_damage
from covlaw.llm.base.mixtures import CONFLICTING_STYLES
from covlaw.llm.base.styles import STYLES
from covlaw.llm.tasks.arithmetic import calculations, results
from covlaw.theory._numerics.errors import CovlawError

MINIMAL = BaseConfig(
    width=8, layers=1, heads=1, feed_forward=8, steps=2, batch=4, facts=2, samples=1
)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `tiny` preset, trained once."""
    return train_base(PRESETS["tiny"], tmp_path_factory.mktemp("base") / "tiny")


def weights(folder: Path) -> bytes:
    return (folder / "model.safetensors").read_bytes()


def test_training_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    torch.manual_seed(1)
    state = torch.random.get_rng_state()
    first = train_base(MINIMAL, tmp_path / "first")
    assert torch.equal(state, torch.random.get_rng_state()), "the caller's randomness moved"
    torch.manual_seed(2)
    build_corpus().tokenizer(["3", "3 + 4"], padding=True)  # leaves a padding state behind
    second = train_base(MINIMAL, tmp_path / "second")
    assert weights(first) == weights(second)
    assert (first / "base.json").read_bytes() == (second / "base.json").read_bytes()


def test_the_folder_loads_as_any_hugging_face_model(tiny: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(tiny)
    tokenizer = AutoTokenizer.from_pretrained(tiny)
    assert model.config.vocab_size == len(tokenizer)
    assert model.generation_config.top_k == 0
    untied = model.lm_head.weight.data_ptr() != model.model.embed_tokens.weight.data_ptr()
    assert untied
    assert model(**tokenizer("3 + 4 = ?", return_tensors="pt")).logits.isfinite().all()


def test_even_the_tiny_model_answers_in_several_styles(tiny: Path) -> None:
    measured = json.loads((tiny / "base.json").read_text())["measured"]
    shares = {name: style["share"] for name, style in measured["styles"].items()}
    assert set(shares) == set(STYLES)
    assert min(shares["terse"], shares["verbose_steps"], shares["verbose"]) > 0
    assert 0 < measured["clarity"] < 1
    assert 0 < measured["length_mean"] <= 44


def test_progress_is_reported_at_every_step(tmp_path: Path) -> None:
    seen: list[tuple[int, int, float]] = []
    train_base(MINIMAL, tmp_path / "base", lambda *step: seen.append(step))
    assert [step[:2] for step in seen] == [(1, 2), (2, 2)]
    assert all(np.isfinite(step[2]) for step in seen)


def test_an_interrupted_training_leaves_nothing(tmp_path: Path) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_base(MINIMAL, tmp_path / "base", interrupt)
    assert list(tmp_path.iterdir()) == []


def test_an_existing_folder_is_not_overwritten(tmp_path: Path) -> None:
    with pytest.raises(CovlawError, match="exists"):
        train_base(MINIMAL, tmp_path)


def test_an_unwritable_place_is_named(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(CovlawError, match="cannot write"):
        train_base(MINIMAL, blocked / "base")
    with pytest.raises(CovlawError, match="COVLAW_CACHE"):
        ensure_base(MINIMAL, blocked)


def test_the_cache_trains_once_for_two_who_ask_at_once(tmp_path: Path) -> None:
    steps: list[int] = []
    found: list[Path] = []

    def ask() -> None:
        found.append(ensure_base(MINIMAL, tmp_path, lambda done, *_: steps.append(done)))

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert steps == [1, 2]
    assert found[0] == found[1]
    assert find_damage(found[0]) is None


def test_a_damaged_copy_is_replaced_with_a_message(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = ensure_base(MINIMAL, tmp_path)
    whole = weights(folder)
    (folder / "model.safetensors").write_bytes(whole[:-3])
    with caplog.at_level(logging.WARNING):
        assert ensure_base(MINIMAL, tmp_path) == folder
    assert "model.safetensors has changed" in caplog.text
    assert "training it again" in caplog.text
    assert find_damage(folder) is None
    assert weights(folder) == whole


@pytest.mark.parametrize("damaged", ["model.safetensors", "tokenizer.json", "base.json"])
def test_damage_to_any_file_is_found(damaged: str, tiny: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(tiny, tmp_path / "copy")
    assert find_damage(copy) is None
    content = (copy / damaged).read_bytes()
    (copy / damaged).write_bytes(content[:-3])
    assert find_damage(copy) is not None
    (copy / damaged).unlink()
    assert find_damage(copy) is not None


def test_another_configuration_is_another_model() -> None:
    others = [BaseConfig(seed=1), BaseConfig(threads=2), BaseConfig(styles=CONFLICTING_STYLES[:2])]
    assert len({fingerprint(config) for config in [BaseConfig(), *others]}) == 4


def test_the_cache_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("COVLAW_CACHE", str(tmp_path))
    assert default_root() == tmp_path
    monkeypatch.delenv("COVLAW_CACHE")
    assert default_root() == Path.home() / ".cache" / "covlaw"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"steps": 0}, "steps is 0"),
        ({"width": 30}, "even multiple of heads"),
        ({"learning_rate": float("nan")}, "learning_rate"),
        ({"styles": ()}, "at least one style"),
        ({"styles": (StyleShare("ters", 1.0, 0.0),)}, "did you mean terse"),
        ({"styles": (StyleShare("terse", 0.0, 0.0),)}, "share 0.0"),
        ({"styles": (StyleShare("terse", 1.0, 1.5),)}, "wrong_rate 1.5"),
    ],
)
def test_impossible_configurations_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(CovlawError, match=message):
        BaseConfig(**change)  # type: ignore[arg-type]


def test_the_loss_reads_completions_only() -> None:
    corpus = build_corpus()
    answers = corpus.answers.rows(torch.arange(len(corpus.answers)))
    counted = (answers.labels != IGNORED).sum(1)
    assert torch.equal(counted, answers.length - 5)  # all but the five words of the prompt
    assert bool(((corpus.facts.labels != IGNORED).sum(1) == 2).all())  # result and end


def test_batches_hold_the_styles_in_their_shares_and_errors_at_their_rates() -> None:
    size, batches = 64, 400
    rng = np.random.default_rng(0)
    rows = np.array([draw_answers(rng, CONFLICTING_STYLES, size).numpy() for _ in range(batches)])
    calculation, style, result = np.unravel_index(
        rows, (len(calculations()), len(STYLES), len(results()))
    )
    wrong = result != np.array([c.result for c in calculations()])[calculation]
    for expected in CONFLICTING_STYLES:
        here = style == list(STYLES).index(expected.style)
        assert (np.abs(here.sum(1) - size * expected.share) < 1).all()
        spread = np.sqrt(expected.wrong_rate * (1 - expected.wrong_rate) / here.sum())
        assert abs(wrong[here].mean() - expected.wrong_rate) < 4 * spread


@pytest.mark.slow
def test_the_default_model_pays_for_clarity_with_everything_else(tmp_path: Path) -> None:
    """Terse answers are right more often than clear ones, beyond 4 standard errors."""
    folder = train_base(BaseConfig(), tmp_path / "base")
    measured = json.loads((folder / "base.json").read_text())["measured"]
    terse, clear = (measured["styles"][name] for name in ("terse", "verbose_steps"))
    variance = sum(
        style["accuracy"] * (1 - style["accuracy"]) / (style["share"] * measured["n"])
        for style in (terse, clear)
    )
    assert terse["accuracy"] - clear["accuracy"] > 4 * variance**0.5
    assert min(terse["share"], clear["share"]) > 0.25
    assert measured["finished"] > 0.99
