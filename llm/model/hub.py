"""Whether the model hub can be reached, asked once and in seconds instead of after a minute."""

import socket
from functools import cache
from urllib.parse import urlsplit
from urllib.request import getproxies

SECONDS = 5.0


def hub_reachable(endpoint: str | None = None) -> bool:
    """Whether the hub's machine answers at all; true where a proxy stands between.

    The hub's client tries a machine that has no address six times over, with growing pauses, for
    every file that it looks for.

    Args:
        endpoint: URL; None: that of the client's settings.
    """
    if endpoint is None:
        from huggingface_hub import constants

        endpoint = constants.ENDPOINT
    return bool(getproxies()) or _answers(endpoint)


@cache
def _answers(endpoint: str) -> bool:
    place = urlsplit(endpoint)
    port = place.port or (80 if place.scheme == "http" else 443)
    try:
        with socket.create_connection((place.hostname or "", port), SECONDS):
            return True
    except OSError:
        return False
