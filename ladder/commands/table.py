"""Every command and the function that it calls: only that function's module is imported.

What a command needs beyond its own arguments is imported in its body, under `stoppable`, so that
help and listings start at once.
"""

from collections.abc import Mapping

_HERE = "covlaw.ladder.commands"

COMMANDS: Mapping[str, str] = {
    "ladder": f"{_HERE}.ladder:ladder",
    "check": f"{_HERE}.check:check",
    "find": f"{_HERE}.find:find",
    "study": f"{_HERE}.study:study",
    "llm": f"{_HERE}.llm:llm",
    "scalarizers": f"{_HERE}.listings:scalarizers",
    "losses": f"{_HERE}.listings:losses",
    "tasks": f"{_HERE}.listings:tasks",
    "rewards": f"{_HERE}.listings:rewards",
    "engines": f"{_HERE}.listings:engines",
    "statements": f"{_HERE}.listings:statements",
    "rungs": f"{_HERE}.listings:rungs",
    "inspect": f"{_HERE}.inspect:inspect",
    "preflight": f"{_HERE}.preflight:preflight",
    "report": f"{_HERE}.report:report",
    "figures": f"{_HERE}.figures:figures",
}
LLM_COMMANDS: Mapping[str, str] = {
    "base": f"{_HERE}.llm.base:base",
    "presets": f"{_HERE}.llm.train:presets",
    "train": f"{_HERE}.llm.train:train",
    "audit": f"{_HERE}.llm.audit:audit",
    "eval": f"{_HERE}.llm.evaluate:evaluate",
}
