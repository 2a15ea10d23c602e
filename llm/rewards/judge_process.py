"""The process that decides hard questions: a question a line in, a verdict a line out.

Values are computed from our own trees; LaTeX that the grammar does not cover goes to math-verify,
which reads it with a grammar of its own. Nothing that a model wrote is evaluated as Python.
"""

import contextlib
import json
import os
import resource
import signal
import sys
import time

MEMORY_BYTES = 2 * 2**30


def main() -> None:
    """Answer questions until standard input ends; die at SIGPROF when one takes too long."""
    sys.path[:] = json.loads(sys.argv[1])
    verdicts = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # nothing else may write between verdicts
    import math_verify  # noqa: F401 (an environment without it is found out at the start)

    from covlaw.llm.rewards.answers.floating import from_lists, same_value

    with contextlib.suppress(ValueError, OSError):  # not every system can limit it
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    print("ready", file=verdicts, flush=True)
    for line in sys.stdin:
        question, started = json.loads(line), time.process_time()
        signal.setitimer(signal.ITIMER_PROF, question["seconds"])
        try:
            if "trees" in question:
                verdict = same_value(*map(from_lists, question["trees"]))
            else:
                verdict = _verified(*question["texts"])
        except Exception:  # whatever the mathematics makes of it, it is no equal answer
            verdict = False
        signal.setitimer(signal.ITIMER_PROF, 0)
        spent = time.process_time() - started
        print("equal" if verdict else "different", spent, file=verdicts, flush=True)


def _verified(answer: str, reference: str) -> bool:
    from math_verify import LatexExtractionConfig, parse, verify

    config = [LatexExtractionConfig()]
    read = [
        parse(f"${text}$", extraction_config=config, parsing_timeout=None)
        for text in (reference, answer)
    ]
    return bool(verify(*read, timeout_seconds=None))


if __name__ == "__main__":
    main()
