"""covlaw: check the covariance law of multi-objective alignment, from symbols to an LLM.

Public are the names of `covlaw.__all__`, imported when they are used, and the modules that
docs/reference shows. Everything else may change without notice; names and folders with an
underscore in front say so themselves.
"""

from pathlib import Path

__version__ = "0.1.0"

_checkout = Path(__file__).resolve().parents[2]
if (_checkout / "pyproject.toml").is_file() and (_checkout / "theory").is_dir():
    __path__.append(str(_checkout))  # in a checkout the packages stand at the top level

from covlaw._lazy import lazy_names  # noqa: E402 (the path comes first)
from covlaw._public import PUBLIC, RETIRED  # noqa: E402

__all__ = ["__version__", *PUBLIC]

__getattr__, __dir__ = lazy_names(__name__, PUBLIC, RETIRED)
