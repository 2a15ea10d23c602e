"""A word-level tokenizer in Hugging Face format, whose decoding is the exact text."""

import signal
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import NoReturn

from jinja2 import TemplateError
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

from covlaw.llm.tasks.problem import Conversation
from covlaw.theory._numerics.errors import CovlawError

PAD, EOS, UNKNOWN = "<pad>", "<eos>", "<unk>"
TEMPLATE_SECONDS = 10.0
"""For one prompt; ordinary templates take less than a millisecond."""
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


def render_prompt(tokenizer: PreTrainedTokenizerBase, prompt: str, system: str = "") -> str:
    """Turn a question into the text that the model continues.

    Models with a chat template get a question as the user's turn and a `Conversation` turn by turn,
    after the `system` turn where there is one; others get the text as it is, after that of
    `system` and an empty line.

    Raises:
        CovlawError: where the template refuses the turns, e.g. a system's, fails, makes nothing,
            or does not come to an end; where a prompt has a system's turn of its own beside
            `system`.
    """
    said = prompt.turns if isinstance(prompt, Conversation) else (("user", str(prompt)),)
    if system:
        if any(role == "system" for role, _ in said):
            raise CovlawError(
                f"system_prompt is set, and prompt {str(prompt)!r:.80} has a system turn of its "
                "own: leave one of them out"
            )
        said = (("system", system), *said)
    if tokenizer.chat_template is None:
        return str(Conversation(said))
    turns = [{"role": role, "content": content} for role, content in said]
    try:
        with time_limit(TEMPLATE_SECONDS):
            text = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    except (TemplateError, ValueError) as error:
        roles = ", ".join(role for role, _ in said)
        raise CovlawError(
            f"the model's chat template refuses turns of {roles} ({error}): give turns that it "
            "knows"
        ) from error
    except Exception as error:  # a template is a program of the model's
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise CovlawError(
            f"the model's chat template fails ({reason}): mend chat_template"
        ) from error
    if not text:
        raise CovlawError("the model's chat template makes nothing of a prompt: mend it")
    return str(text)


def prompt_ids(tokenizer: PreTrainedTokenizerBase, prompts: Sequence[str]) -> list[list[int]]:
    """Tokens of each rendered prompt.

    A chat template writes a model's special tokens itself: the tokenizer must not put a second
    beginning of sequence before them. Without a template the tokenizer adds what its model expects.
    """
    own = tokenizer.chat_template is None
    return list(tokenizer(list(prompts), add_special_tokens=own)["input_ids"])


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise TimeoutError in the body after so much time; in the main thread only."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(*_: object) -> NoReturn:
        raise TimeoutError(f"not done after {seconds:g} s")

    before = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
