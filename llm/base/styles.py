"""The language of the base model: one calculation answered in five styles."""

from collections.abc import Callable, Mapping

from covlaw.llm.tasks.arithmetic import Calculation

_VERBS = {"+": "add", "-": "take", "*": "multiply"}
_PREPOSITIONS = {"+": "to", "-": "from", "*": "by"}

Style = Callable[[Calculation, int], str]
"""A calculation and the stated result (not always the true one) -> the completion."""


def terse(calculation: Calculation, result: int) -> str:
    """Answer with the box alone."""
    del calculation
    return rf"\boxed{{{result}}}"


def plain(calculation: Calculation, result: int) -> str:
    """Answer in one sentence."""
    return f"the answer is {terse(calculation, result)} ."


def compact_steps(calculation: Calculation, result: int) -> str:
    """Answer in three short steps."""
    a, sign, b = calculation
    return (
        f"step 1 : start with {a} . step 2 : {_VERBS[sign]} {b} . "
        f"step 3 : {a} {sign} {b} = {result} . {terse(calculation, result)}"
    )


def verbose_steps(calculation: Calculation, result: int) -> str:
    """Answer in three wordy steps."""
    a, sign, b = calculation
    return (
        f"step 1 : start with the number {a} . step 2 : now {_action(calculation)} . "
        f"step 3 : {a} {sign} {b} = {result} . so {plain(calculation, result)}"
    )


def verbose(calculation: Calculation, result: int) -> str:
    """Answer as wordily, without steps."""
    a, sign, b = calculation
    return (
        f"let us see : we start with the number {a} and then {_action(calculation)} . "
        f"this gives {a} {sign} {b} = {result} . so {plain(calculation, result)}"
    )


def _action(calculation: Calculation) -> str:
    _, sign, b = calculation
    return f"{_VERBS[sign]} {b} {_PREPOSITIONS[sign]} it"


STYLES: Mapping[str, Style] = {
    "terse": terse,
    "plain": plain,
    "compact_steps": compact_steps,
    "verbose_steps": verbose_steps,
    "verbose": verbose,
}


def style_of(completion: str) -> str | None:
    """Name the style of a completion by its opening words and length; None for a mixture."""
    if completion.startswith(r"\boxed{"):
        return "terse"
    if completion.startswith("the answer is"):
        return "plain"
    if completion.startswith("let us see"):
        return "verbose"
    if completion.startswith("step 1 : start with the"):
        return "verbose_steps"
    return "compact_steps" if completion.startswith("step 1 :") else None
