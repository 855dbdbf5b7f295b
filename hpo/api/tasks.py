"""The tasks of this package with what starts their stages."""

from hpo.tasks.base.presentation.stage_command import TaskCommands
from hpo.tasks.bmn.presentation.commands import COMMANDS as BMN
from hpo.tasks.calf.presentation.commands import COMMANDS as CALF

TASKS = (CALF, BMN)
"""Commands of all tasks; those of the first are for the stages that no task names, such as the search."""


def commands_with(stage: str) -> TaskCommands:
    """Return the commands of the task that names ``stage``, else those of the first task."""
    return next((task for task in TASKS if task.names(stage)), TASKS[0])
