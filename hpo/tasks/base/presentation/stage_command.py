"""Commands that a task adds to ``hpo run``."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from hpo.tasks.base.splits import Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class StageOption:
    """An option of a command that sets one key of the stage's table in the study file."""

    key: str
    """Key of the table."""
    kind: Literal["count", "seeds", "text", "texts"]
    """Type of the value: a whole number above 0, a whole number above 1 or ``until decided``, a text, or a
    text that becomes a list of one."""
    help: str
    name: str = ""
    """Name of the option without its dashes. Default: the key."""
    least: int = 1
    """Smallest number that is accepted."""


SEEDS = StageOption(
    key="seeds",
    kind="count",
    help="Seeds per configuration. Default: from the study file.",
)
FINAL_SEEDS = StageOption(
    key="seeds",
    kind="seeds",
    help='Seeds per configuration in the final, 2 or more; or "until decided": configurations that are '
    "surely worse get no further seeds. Default: from the study file.",
)
COMPARISON_SEEDS = StageOption(
    key="seeds",
    kind="count",
    help="Seeds with which the result of the grid is compared with the start, at the end of the stage. "
    "Default: from the study file.",
)
REPLICATES = StageOption(
    key="replicates",
    kind="count",
    help="Seeds per configuration; its score is the average. Default: from the study file.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StageCommand:
    """A command ``hpo run STAGE``."""

    stage: str
    help: str
    options: tuple[StageOption, ...] = (SEEDS,)


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoData:
    """Small data set that a task generates for users who have none."""

    folder: str
    """Name of its folder, to which the seed is added."""
    study_file: str
    """Installed study file that suits the data."""
    make: Callable[[Path, int, Progress], None]
    """Function that generates the data of a seed in a folder; existing data are kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskCommands:
    """Commands of a task, and what they use for options that are left out."""

    task: str
    study_file: str
    """Installed study file that is used with the user's own data."""
    demo: DemoData
    stages: tuple[StageCommand, ...]
    begins_study: bool = False
    """Whether a stage starts a new study unless ``--study`` names one; else it continues the latest study."""

    def names(self, stage: str) -> bool:
        """Return whether ``stage`` is one of these commands."""
        return any(command.stage == stage for command in self.stages)
