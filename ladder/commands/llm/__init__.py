"""The commands of the LLM rung."""


def llm() -> None:
    """The LLM rung: base, presets, train, audit, eval (`covlaw llm --help`)."""
