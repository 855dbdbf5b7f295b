"""Action spotting with the context-aware loss: the paper's own task."""

from hpo.tasks.calf.task import CalfTask

TASK = CalfTask()
