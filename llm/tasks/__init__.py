"""Tasks: where prompts and reference answers come from."""

from covlaw.llm.tasks.problem import Problem

__all__ = ["Problem"]
