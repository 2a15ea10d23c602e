"""covlaw inside verl: a trainer called `covlaw` beside `sync`, for `trainer.v1.trainer_mode`.

verl loads this module through the entry point group `verl.plugins`, in every process that imports
verl; the trainer itself is loaded once verl's own are. Needs the extra `covlaw[verl]`; docs/verl.md
shows a configuration and says what was run.
"""

from covlaw.plugins.verl._arrival import after_import

TRAINERS = "verl.trainer.ppo.v1"

after_import(TRAINERS, "covlaw.plugins.verl.trainer")
