"""The public face: each name of `covlaw`, and the module that defines it; and the names that go.

A new name is a line here, one in `__init__.pyi` for type checkers, and a page in docs/reference.
"""

from covlaw._lazy import Retired

_ESTIMATORS, _STATEMENTS = "covlaw.theory.estimators", "covlaw.theory.statements"
_SCALARIZERS, _LOSSES = "covlaw.theory.scalarizers", "covlaw.theory.losses"

PUBLIC: dict[str, str] = {
    # what a batch says of each reward
    "within_prompt_covariance": f"{_ESTIMATORS}.covariance",
    "covariance_matrix": f"{_ESTIMATORS}.covariance",
    "exact_change": f"{_ESTIMATORS}.covariance",
    "Covariance": f"{_ESTIMATORS}.covariance",
    "sign_certified": f"{_ESTIMATORS}.sign_certificate",
    "prompt_labels": "covlaw.theory._numerics.prompts",
    "Rollouts": f"{_ESTIMATORS}.rollouts",
    "group_advantage": f"{_ESTIMATORS}.advantages",
    "NORMALISERS": f"{_ESTIMATORS}.advantages",
    # what a policy loss follows
    "effective_weight": f"{_LOSSES}.registry",
    "LOSSES": f"{_LOSSES}.names",
    "make_loss": f"{_LOSSES}.registry",
    "PolicyLoss": f"{_LOSSES}.protocol",
    # where the law and a real update part
    "law_budget": f"{_ESTIMATORS}.budget",
    "LawBudget": f"{_ESTIMATORS}.budget",
    "ScoreFields": f"{_ESTIMATORS}.budget",
    # what can be asked of all rewards at once
    "headroom": f"{_ESTIMATORS}.headroom",
    "Headroom": f"{_ESTIMATORS}.headroom",
    "prompt_covariances": f"{_ESTIMATORS}.prompt_covariances",
    "PromptCovariances": f"{_ESTIMATORS}.prompt_covariances",
    "min_norm_weights": "covlaw.theory.solvers.min_norm",
    # where weights lead, from samples of the policy as it is
    "frontier": f"{_ESTIMATORS}.frontier",
    "Frontier": f"{_ESTIMATORS}.frontier",
    "best_of_n": f"{_ESTIMATORS}.best_of_n",
    "BestOfN": f"{_ESTIMATORS}.best_of_n",
    # a step that lowers no reward
    "guard_step": "covlaw.theory.guard.step",
    "Guarded": "covlaw.theory.guard.step",
    "guard_weights": "covlaw.theory.solvers.least_change",
    # the rollouts of any run
    "read_log": "covlaw.plugins.logs.read",
    "Log": "covlaw.plugins.logs.log",
    "inspect_log": "covlaw.plugins.inspection.inspection",
    "Inspection": "covlaw.plugins.inspection.inspection",
    # from several rewards to one signal
    "SCALARIZERS": _SCALARIZERS,
    "make_scalarizer": f"{_SCALARIZERS}",
    "Scalarizer": f"{_SCALARIZERS}.protocol",
    "Batch": f"{_SCALARIZERS}.protocol",
    "Signal": f"{_SCALARIZERS}.protocol",
    "Observation": f"{_SCALARIZERS}.protocol",
    # the claims
    "STATEMENTS": f"{_STATEMENTS}.registry",
    "Statement": f"{_STATEMENTS}.base",
    "Verdict": f"{_STATEMENTS}.base",
    "check": f"{_STATEMENTS}.checking",
    # what a mistake raises
    "CovlawError": "covlaw.theory._numerics.errors",
}

RETIRED: dict[str, Retired] = {}
"""Old name -> its replacement and the version without it; CONTRIBUTING says how a name goes."""
