"""What a task consists of."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from covlaw.theory._numerics.errors import CovlawError

SPLITS = ("train", "val", "test")


class Conversation(str):
    """A prompt of several turns: the text of all of them, and who says what.

    As text it is what a model without a chat template reads, what pages show, and what tells one
    prompt from another; a chat template gets the turns.
    """

    __slots__ = ("turns",)
    turns: tuple[tuple[str, str], ...]
    """(role, content) of each turn; the last one is not the assistant's."""

    def __new__(cls, turns: Sequence[tuple[str, str]]) -> "Conversation":
        """Join the turns' contents."""
        made = super().__new__(cls, "\n\n".join(content for _, content in turns))
        made.turns = tuple(turns)
        return made

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel between processes with the turns."""
        return Conversation, (self.turns,)

    def messages(self) -> list[dict[str, str]]:
        """The turns as chat templates and TRL take them."""
        return [{"role": role, "content": content} for role, content in self.turns]

    def around(self, prefix: str, suffix: str) -> "Conversation":
        """Put text before and after the last turn."""
        *earlier, (role, content) = self.turns
        return Conversation([*earlier, (role, prefix + content + suffix)])


def conversation(turns: Any) -> Conversation:
    """Read a list of turns with `role` and `content`, as chat templates take it.

    Raises:
        CovlawError: on anything else, and where the last turn is the assistant's: trained on such
            a prompt, the model would be asked for what it has been told.
    """
    try:
        read = [(turn.get("role", "user"), turn["content"]) for turn in turns]
        if not read or not all(isinstance(text, str) for turn in read for text in turn):
            raise TypeError
    except (KeyError, TypeError, AttributeError) as error:
        raise CovlawError(
            f"must be text or a list of turns with content; found {turns!r:.200}"
        ) from error
    if read[-1][0] == "assistant":
        raise CovlawError(
            f"its last turn is the assistant's, {read[-1][1]!r:.80}: leave the answer out of the "
            "prompt, and name its own column in task_options.answer"
        )
    return Conversation(read)


class Problem(NamedTuple):
    """One question with its known answer.

    Attributes:
        prompt: The question as text, or a `Conversation`; a chat template, where the model has one,
            is not applied yet.
        reference: The answer as it would stand inside a box.
        columns: What else the task's row holds, by name: rewards may ask for it.
        question: The prompt before the chat template was applied; None: it was not.
    """

    prompt: str
    reference: str
    columns: Mapping[str, Any] = {}
    question: str | None = None

    def __hash__(self) -> int:
        """That of question and answer: columns may hold anything."""
        return hash((self.prompt, self.reference))

    @property
    def asked(self) -> str:
        """The question as the task gives it."""
        return self.prompt if self.question is None else self.question

    def around(self, prefix: str, suffix: str) -> "Problem":
        """Put text before and after the question; in a conversation around its last turn."""
        if isinstance(self.prompt, Conversation):
            return self._replace(prompt=self.prompt.around(prefix, suffix))
        return self._replace(prompt=prefix + self.prompt + suffix)
