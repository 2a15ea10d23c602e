"""The word-level tokenizer: exact text, Hugging Face format, nothing special needed to load it."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from covlaw.llm.base.corpus import build_corpus
from covlaw.llm.base.styles import STYLES
from covlaw.llm.model.tokenizer import EOS, PAD, UNKNOWN, build_tokenizer, render_prompt, words
from covlaw.llm.rewards.boxed import last_boxed
from covlaw.llm.tasks.arithmetic import calculations, results


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> PreTrainedTokenizerFast:
    """The arithmetic language's tokenizer, as another program would load it."""
    folder: Path = tmp_path_factory.mktemp("tokenizer")
    build_corpus().tokenizer.save_pretrained(folder)
    return AutoTokenizer.from_pretrained(folder)


def test_every_text_of_the_language_round_trips(tokenizer: PreTrainedTokenizerFast) -> None:
    texts = [write(c, r) for c in calculations() for write in STYLES.values() for r in results()]
    encoded = tokenizer(texts)["input_ids"]
    assert tokenizer.batch_decode(encoded) == texts
    assert not any(tokenizer.unk_token_id in tokens for tokens in encoded)


@given(st.data())
def test_any_sequence_of_words_is_decoded_to_text_with_the_same_tokens(
    tokenizer: PreTrainedTokenizerFast, data: st.DataObject
) -> None:
    ids = st.integers(len(tokenizer.all_special_ids), len(tokenizer) - 1)
    tokens = data.draw(st.lists(ids, max_size=12))
    assert tokenizer(tokenizer.decode(tokens))["input_ids"] == tokens


def test_a_box_is_decoded_without_spaces(tokenizer: PreTrainedTokenizerFast) -> None:
    tokens = tokenizer(r"so the answer is \boxed{12} .")["input_ids"]
    assert len(tokens) == 8
    assert last_boxed(tokenizer.decode(tokens)) == "12"


def test_padding_is_not_the_end(tokenizer: PreTrainedTokenizerFast) -> None:
    assert tokenizer.pad_token_id != tokenizer.eos_token_id
    assert tokenizer.convert_ids_to_tokens([0, 1, 2]) == [PAD, EOS, UNKNOWN]
    ended = tokenizer(f"3 + 4{EOS}")["input_ids"]
    assert ended[-1] == tokenizer.eos_token_id
    assert tokenizer.decode([*ended, 0, 0], skip_special_tokens=True) == "3 + 4"


def test_prompts_have_one_length_and_pad_on_the_left(tokenizer: PreTrainedTokenizerFast) -> None:
    prompts = tokenizer([c.prompt for c in calculations()])["input_ids"]
    assert {len(prompt) for prompt in prompts} == {5}
    padded = tokenizer(["3", "3 + 4 = ?"], padding=True)["input_ids"]
    assert padded[0][:-1] == [tokenizer.pad_token_id] * 4


def test_a_word_outside_the_vocabulary_is_unknown(tokenizer: PreTrainedTokenizerFast) -> None:
    assert tokenizer("pears")["input_ids"] == [tokenizer.unk_token_id]


def test_words_split_around_boxes_only() -> None:
    assert words(r"so \boxed{7}.") == ["so", r"\boxed{", "7", "}", "."]


def test_a_chat_template_is_used_where_there_is_one() -> None:
    tokenizer = build_tokenizer(["a b"])
    assert render_prompt(tokenizer, "a b") == "a b"
    tokenizer.chat_template = (
        "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}"
        "{% if add_generation_prompt %}<assistant>{% endif %}"
    )
    assert render_prompt(tokenizer, "a b") == "<user>a b<assistant>"
