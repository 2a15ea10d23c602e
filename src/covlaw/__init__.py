"""covlaw: check the covariance law of multi-objective alignment, from symbols to an LLM."""

from pathlib import Path

__version__ = "0.1.0"

_checkout = Path(__file__).resolve().parents[2]
if (_checkout / "pyproject.toml").is_file() and (_checkout / "theory").is_dir():
    __path__.append(str(_checkout))  # in a checkout the packages stand at the top level
