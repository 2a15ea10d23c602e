"""Base models by name; adding mixtures and difficulties leaves the cached default in place."""

import re

import pytest

from covlaw.llm.base import MIXTURES, BaseConfig, base_config, is_base_name, named_base
from covlaw.llm.base.cache import fingerprint
from covlaw.llm.base.corpus import language_tokenizer
from covlaw.llm.model.policy import resolve_model
from covlaw.llm.tasks.arithmetic import DIFFICULTIES, results
from covlaw.theory._numerics.errors import CovlawError

DEFAULT = "f2014678a32e"
"""Of the model that the recorded runs started from."""


def test_the_default_is_found_in_old_caches() -> None:
    assert named_base("base") == BaseConfig()
    assert fingerprint(named_base("base")) == DEFAULT


def test_each_name_is_a_model_of_its_own() -> None:
    names = [f"base:{mixture}:{level}" for mixture in MIXTURES for level in DIFFICULTIES]
    assert len({fingerprint(named_base(name)) for name in names}) == len(names)
    assert named_base("base::teens") == base_config(difficulty="teens")
    assert named_base("base:aligned") == base_config("aligned")


def test_other_models_are_left_to_the_hub() -> None:
    assert resolve_model("Qwen/Qwen2.5-1.5B") == "Qwen/Qwen2.5-1.5B"
    assert not is_base_name("baseline")
    assert not is_base_name("org/base")


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("base:alignd", "did you mean aligned"),
        ("base:aligned:teen", "did you mean teens"),
        ("base:a:b:c", "write base:MIXTURE"),
    ],
)
def test_unknown_names_are_refused(model: str, message: str) -> None:
    with pytest.raises(CovlawError, match=re.escape(message)):
        resolve_model(model)


@pytest.mark.parametrize("difficulty", DIFFICULTIES)
def test_a_language_has_the_words_of_every_result(difficulty: str) -> None:
    words = language_tokenizer(difficulty).get_vocab()
    stated = {str(number) for number in results(difficulty)}
    assert stated <= set(words)
    assert {word for word in words if word.isdigit()} == stated
    assert ("multiply" in words) == ("*" in words) == (difficulty == "products")
