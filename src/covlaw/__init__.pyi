"""What type checkers and editors see of `covlaw`; `_public.PUBLIC` is the same list for Python."""

from covlaw.plugins.inspection.inspection import Inspection as Inspection
from covlaw.plugins.inspection.inspection import inspect_log as inspect_log
from covlaw.plugins.logs.log import Log as Log
from covlaw.plugins.logs.read import read_log as read_log
from covlaw.theory._numerics.errors import CovlawError as CovlawError
from covlaw.theory._numerics.prompts import prompt_labels as prompt_labels
from covlaw.theory.estimators.advantages import NORMALISERS as NORMALISERS
from covlaw.theory.estimators.advantages import group_advantage as group_advantage
from covlaw.theory.estimators.best_of_n import BestOfN as BestOfN
from covlaw.theory.estimators.best_of_n import best_of_n as best_of_n
from covlaw.theory.estimators.budget import LawBudget as LawBudget
from covlaw.theory.estimators.budget import ScoreFields as ScoreFields
from covlaw.theory.estimators.budget import law_budget as law_budget
from covlaw.theory.estimators.covariance import Covariance as Covariance
from covlaw.theory.estimators.covariance import covariance_matrix as covariance_matrix
from covlaw.theory.estimators.covariance import exact_change as exact_change
from covlaw.theory.estimators.covariance import within_prompt_covariance as within_prompt_covariance
from covlaw.theory.estimators.frontier import Frontier as Frontier
from covlaw.theory.estimators.frontier import frontier as frontier
from covlaw.theory.estimators.headroom import Headroom as Headroom
from covlaw.theory.estimators.headroom import headroom as headroom
from covlaw.theory.estimators.prompt_covariances import PromptCovariances as PromptCovariances
from covlaw.theory.estimators.prompt_covariances import prompt_covariances as prompt_covariances
from covlaw.theory.estimators.rollouts import Rollouts as Rollouts
from covlaw.theory.estimators.sign_certificate import sign_certified as sign_certified
from covlaw.theory.guard.step import Guarded as Guarded
from covlaw.theory.guard.step import guard_step as guard_step
from covlaw.theory.losses.names import LOSSES as LOSSES
from covlaw.theory.losses.protocol import PolicyLoss as PolicyLoss
from covlaw.theory.losses.registry import effective_weight as effective_weight
from covlaw.theory.losses.registry import make_loss as make_loss
from covlaw.theory.scalarizers import SCALARIZERS as SCALARIZERS
from covlaw.theory.scalarizers import make_scalarizer as make_scalarizer
from covlaw.theory.scalarizers.protocol import Batch as Batch
from covlaw.theory.scalarizers.protocol import Observation as Observation
from covlaw.theory.scalarizers.protocol import Scalarizer as Scalarizer
from covlaw.theory.scalarizers.protocol import Signal as Signal
from covlaw.theory.solvers.least_change import guard_weights as guard_weights
from covlaw.theory.solvers.min_norm import min_norm_weights as min_norm_weights
from covlaw.theory.statements.base import Statement as Statement
from covlaw.theory.statements.base import Verdict as Verdict
from covlaw.theory.statements.checking import check as check
from covlaw.theory.statements.registry import STATEMENTS as STATEMENTS

__version__: str
__all__: list[str]
