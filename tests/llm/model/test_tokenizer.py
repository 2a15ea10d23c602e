"""The word-level tokenizer: exact text, Hugging Face format, nothing special needed to load it."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers.processors import TemplateProcessing
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from covlaw.llm.base.corpus import build_corpus
from covlaw.llm.base.styles import STYLES
from covlaw.llm.model.tokenizer import (
    EOS,
    PAD,
    UNKNOWN,
    build_tokenizer,
    prompt_ids,
    render_prompt,
    words,
)
from covlaw.llm.rewards.boxed import last_boxed
from covlaw.llm.sampling.engine import encode_prompts
from covlaw.llm.tasks.arithmetic import calculations, results
from covlaw.llm.tasks.problem import Conversation, conversation
from covlaw.theory._numerics.errors import CovlawError


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


SIMPLE = (
    "{{ bos_token }}{% for m in messages %}<{{ m.role }}> {{ m.content }} {% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)


def with_bos(template: str | None) -> PreTrainedTokenizerFast:
    """As of Llama, Gemma and Mistral: the tokenizer puts a beginning of sequence before a text."""
    made = build_tokenizer(["<bos> <system> <user> <assistant> a b c"])
    made.add_special_tokens({"bos_token": "<bos>"})
    made.backend_tokenizer.post_processor = TemplateProcessing(
        single="<bos> $A", special_tokens=[("<bos>", made.bos_token_id)]
    )
    made.chat_template = template
    return made


@pytest.mark.parametrize(
    "template", [SIMPLE, SIMPLE.replace("{{ bos_token }}", "")], ids=["llama", "qwen"]
)
def test_a_templates_text_gets_no_second_beginning(template: str) -> None:
    tokenizer = with_bos(template)
    prompts = [conversation([{"role": "system", "content": "a"}, {"content": "b c"}]), "a"]
    rendered = [render_prompt(tokenizer, prompt) for prompt in prompts]
    for prompt, ids in zip(prompts, prompt_ids(tokenizer, rendered), strict=True):
        said = prompt.turns if isinstance(prompt, Conversation) else [("user", prompt)]
        turns = [{"role": role, "content": content} for role, content in said]
        own = tokenizer.apply_chat_template(turns, add_generation_prompt=True, return_dict=False)
        assert ids == own
        assert ids.count(tokenizer.bos_token_id) == template.count("bos_token")


def test_without_a_template_a_text_begins_as_its_model_expects() -> None:
    tokenizer = with_bos(None)
    assert prompt_ids(tokenizer, ["a b"])[0][0] == tokenizer.bos_token_id


def test_prompts_are_padded_on_the_left() -> None:
    tokenizer = with_bos(SIMPLE)
    tokens, mask = encode_prompts(tokenizer, ["a b", "a"], "cpu")
    assert tokens.tolist()[1] == [tokenizer.pad_token_id, *prompt_ids(tokenizer, ["a"])[0]]
    assert mask.tolist() == [[True, True], [False, True]]


def test_turns_that_a_template_refuses_are_named() -> None:
    tokenizer = with_bos("{{ raise_exception('no system turn') }}")
    with pytest.raises(CovlawError, match=r"refuses turns of system, user \(no system turn\)"):
        render_prompt(tokenizer, Conversation([("system", "a"), ("user", "b")]))
