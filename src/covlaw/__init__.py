"""covlaw: check the covariance law of multi-objective alignment, from symbols to an LLM."""

__version__ = "0.1.0"
