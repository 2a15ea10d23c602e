"""The process that runs math-verify: a question a line in, a verdict a line out.

Run as a file, so that it imports math-verify alone. It reads LaTeX with a grammar; nothing that a
model wrote is evaluated as Python.
"""

import contextlib
import json
import os
import resource
import signal
import sys

MEMORY_BYTES = 2 * 2**30


def main() -> None:
    """Answer questions until standard input ends; die at SIGPROF when one takes too long."""
    seconds = float(sys.argv[1])
    verdicts = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # nothing else may write between verdicts
    from math_verify import LatexExtractionConfig, parse, verify

    config = [LatexExtractionConfig()]

    def equal(answer: str, reference: str) -> bool:
        read = [
            parse(f"${text}$", extraction_config=config, parsing_timeout=None)
            for text in (reference, answer)
        ]
        return bool(verify(*read, timeout_seconds=None))

    with contextlib.suppress(ValueError, OSError):  # not every system can limit it
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    print("ready", file=verdicts, flush=True)
    for question in sys.stdin:
        signal.setitimer(signal.ITIMER_PROF, seconds)
        try:
            verdict = equal(*json.loads(question))
        except Exception:  # whatever SymPy makes of it, it is no equal answer
            verdict = False
        signal.setitimer(signal.ITIMER_PROF, 0)
        print("equal" if verdict else "different", file=verdicts, flush=True)


if __name__ == "__main__":
    main()
