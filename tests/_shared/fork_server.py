"""Client of a script that imports everything once and then forks: a JSON line in, one out."""

import json
import subprocess
import sys
from types import TracebackType
from typing import Any, ClassVar, Self


class ForkServer:
    """Starts the script on entry, ends it on exit."""

    script: ClassVar[str]

    def __enter__(self) -> Self:
        self.server = subprocess.Popen(  # noqa: S603
            [sys.executable, self.script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.server.communicate()

    def ask(self, request: Any) -> Any:
        """Send a request and wait for its answer."""
        assert self.server.stdin
        assert self.server.stdout
        print(json.dumps(request), file=self.server.stdin, flush=True)
        return json.loads(self.server.stdout.readline())
