"""Jobs on several processes, as a launcher starts them, without an import for each.

As a script it is a server: it imports everything once, then forks a process a rank. A job is the
name of a function of `rank_jobs`, which is called with the job's arguments on every rank.
"""

import importlib
import json
import os
import socket
import sys
from typing import Any, NamedTuple

from fork_server import ForkServer


class Answer(NamedTuple):
    """What one rank's process ended with."""

    result: Any
    error: str | None
    """Message of a CovlawError; any other exception with its type."""
    signal: int | None
    """That killed it."""


class Ranked(ForkServer):
    """Client of the server."""

    script = __file__

    def run(self, job: str, size: int = 2, **arguments: Any) -> list[Answer]:
        """Do a job on `size` processes; one answer a rank."""
        return [Answer(*answer) for answer in self.ask([job, size, arguments])]

    def results(self, job: str, size: int = 2, **arguments: Any) -> list[Any]:
        """Do a job that must succeed."""
        answers = self.run(job, size, **arguments)
        assert all(a.error is a.signal is None for a in answers), answers
        return [a.result for a in answers]


def _child(job: str, arguments: dict[str, Any], rank: int, size: int, port: int) -> Any:
    """The forked process."""
    names = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": size, "MASTER_PORT": port}
    os.environ |= {name: str(value) for name, value in names.items()}
    os.environ["MASTER_ADDR"] = "127.0.0.1"
    return getattr(importlib.import_module("rank_jobs"), job)(**arguments)


def _answer(job: str, arguments: dict[str, Any], rank: int, size: int, port: int) -> bytes:
    from covlaw.theory._numerics.errors import CovlawError

    try:
        return json.dumps([_child(job, arguments, rank, size, port), None]).encode()
    except CovlawError as error:
        return json.dumps([None, str(error)]).encode()
    except BaseException as error:
        return json.dumps([None, f"{type(error).__name__}: {error}"]).encode()


def _serve_one(job: str, size: int, arguments: dict[str, Any]) -> list[Answer]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    children = []
    for rank in range(size):
        end, report = os.pipe()
        child = os.fork()
        if child == 0:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
            os.write(report, _answer(job, arguments, rank, size, port))
            os._exit(0)
        os.close(report)
        children.append((child, end))
    answers = []
    for child, end in children:
        with os.fdopen(end) as file:
            said = file.read()
        _, status = os.waitpid(child, 0)
        killed = os.WTERMSIG(status) if os.WIFSIGNALED(status) else None
        answers.append(Answer(*(json.loads(said) if said else [None, None]), killed))
    return answers


def _serve() -> None:
    importlib.import_module("rank_jobs")  # what every fork needs
    for line in sys.stdin:
        job, size, arguments = json.loads(line)
        print(json.dumps(_serve_one(job, size, arguments)), flush=True)


if __name__ == "__main__":
    _serve()
