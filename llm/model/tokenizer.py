"""A word-level tokenizer in Hugging Face format, whose decoding is the exact text."""

from collections.abc import Iterable, Sequence

from jinja2 import TemplateError
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

from covlaw.llm.tasks.problem import Conversation
from covlaw.theory._numerics.errors import CovlawError

PAD, EOS, UNKNOWN = "<pad>", "<eos>", "<unk>"
BOX_OPEN, BOX_CLOSE = r"\boxed{", "}"


def words(text: str) -> list[str]:
    r"""Split at spaces and around a box: ``so \boxed{7}`` is ``so``, ``\boxed{``, ``7``, ``}``."""
    for bracket in (BOX_OPEN, BOX_CLOSE):
        text = text.replace(bracket, f" {bracket} ")
    return text.split()


def build_tokenizer(texts: Iterable[str]) -> PreTrainedTokenizerFast:
    """Give every word of the texts a token, in alphabetical order after the special ones.

    Padding and end of sequence are different tokens, so that a mask can tell a finished completion
    from a truncated one. Padding goes to the left, where generation expects it.
    """
    vocabulary = sorted({word for text in texts for word in words(text)})
    ids = {word: i for i, word in enumerate([PAD, EOS, UNKNOWN, *vocabulary])}
    backend = Tokenizer(models.WordLevel(ids, unk_token=UNKNOWN))
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Split(Regex(r"\\boxed\{|\}"), "isolated")]
    )
    backend.decoder = _exact_decoder()
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token=PAD,
        eos_token=EOS,
        unk_token=UNKNOWN,
        padding_side="left",
        clean_up_tokenization_spaces=False,
        model_input_names=["input_ids", "attention_mask"],
    )


def _exact_decoder() -> decoders.Decoder:
    """Join words with spaces, but none inside a box."""
    return decoders.Sequence(
        [
            decoders.WordPiece(prefix="##", cleanup=False),
            decoders.Fuse(),
            decoders.Replace(f"{BOX_OPEN} ", BOX_OPEN),
            decoders.Replace(f" {BOX_CLOSE}", BOX_CLOSE),
        ]
    )


def render_prompt(tokenizer: PreTrainedTokenizerBase, prompt: str) -> str:
    """Turn a question into the text that the model continues.

    Models with a chat template get a question as the user's turn and a `Conversation` turn by turn;
    others get the text as it is.

    Raises:
        CovlawError: where the template refuses the turns, e.g. a system's.
    """
    if tokenizer.chat_template is None:
        return str(prompt)
    said = prompt.turns if isinstance(prompt, Conversation) else (("user", prompt),)
    turns = [{"role": role, "content": content} for role, content in said]
    try:
        text = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    except (TemplateError, ValueError) as error:
        roles = ", ".join(role for role, _ in said)
        raise CovlawError(
            f"the model's chat template refuses turns of {roles} ({error}): give turns that it "
            "knows"
        ) from error
    return str(text)


def prompt_ids(tokenizer: PreTrainedTokenizerBase, prompts: Sequence[str]) -> list[list[int]]:
    """Tokens of each rendered prompt.

    A chat template writes a model's special tokens itself: the tokenizer must not put a second
    beginning of sequence before them. Without a template the tokenizer adds what its model expects.
    """
    own = tokenizer.chat_template is None
    return list(tokenizer(list(prompts), add_special_tokens=own)["input_ids"])
