"""Which learning rate is too high for a model's size: a rule of thumb, said and not enforced."""

import logging

USUAL, SIZE, POWER = 1e-6, 1.5e9, 2 / 3
"""The paper's rate for 1.5 billion parameters, and how it falls with their number.

Two more sizes were tried here: half a million parameters train well at 5e-5 to 2e-4, of which the
rule gives 2.1e-4, and 135 million at 3e-6, of which it gives 5e-6; at 2e-5 a first step of AdamW
multiplied the probability of some completions by millions. All parameters move by about the rate,
so that log-probs move the more, the more parameters there are."""
OVER = 3.0
"""Times the usual rate from which a word is said."""

_log = logging.getLogger("covlaw")


def usual_rate(parameters: int) -> float:
    """AdamW's learning rate for a model of so many parameters, all of them trained."""
    return float(USUAL * (SIZE / parameters) ** POWER)


def rate_trap(rate: float, parameters: int) -> str:
    """Say that a rate is far above what is usual; "" where it is not."""
    usual = usual_rate(parameters)
    if rate <= OVER * usual:
        return ""
    return (
        f"learning_rate is {rate:g}, and a model of {parameters:,} parameters usually takes about "
        f"{usual:.1g}: one update may change the policy beyond what any forecast covers (see "
        "`moved` in steps.jsonl)"
    )


def warn_of_rate(rate: float, parameters: int) -> None:
    """Log what `rate_trap` says."""
    if trap := rate_trap(rate, parameters):
        _log.warning("%s", trap)
