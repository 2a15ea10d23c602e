"""A pool of processes that is none."""

from concurrent.futures import Future
from typing import Any


class Inline:
    """A pool that works in this process: the logic around it without the cost of spawning."""

    def __init__(self, *_: Any, **__: Any) -> None:
        """Take what ProcessPoolExecutor takes."""

    def __enter__(self) -> "Inline":
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to stop."""

    def shutdown(self, **_: Any) -> None:
        """Nothing to stop."""

    def submit(self, function: Any, *arguments: Any) -> Any:
        future: Future[Any] = Future()
        try:
            future.set_result(function(*arguments))
        except Exception as error:
            future.set_exception(error)
        return future
