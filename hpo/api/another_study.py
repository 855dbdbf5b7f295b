"""Commands that start a study, where there is none to continue, or an option does not fit the one named."""

from pathlib import Path
from typing import Any

from hpo.config.differences import differing_settings
from hpo.config.environment import Environment
from hpo.config.stages import SEARCH
from hpo.config.study_file import StudyFile
from hpo.study.bounds import bounds_in_words
from hpo.study.plan import StageRequest, StudyPlan, StudyRequest
from hpo.tasks.base.places import is_uri
from hpo.tasks.base.presentation.stage_command import TaskCommands
from hpo.tasks.base.registry import load_study
from model.errors import ConfigError
from model.shell import shell_line

_OF_A_SEARCH = (
    "trials",
    "replicates",
    "epochs",
    "searcher",
    "scheduler",
    "stop_when",
    "concurrent",
    "array",
)
"""Keys of the table of a search that are options of ``hpo run bayes``."""


def nothing_to_continue(stage: str, typed: StudyRequest) -> ConfigError:
    """Return the error for a later stage on data of which there is no study yet."""
    words = _data_place(typed.data)
    words += ["--features", typed.features] if typed.features else []
    options = shell_line(*words)
    return ConfigError(
        "there is no study yet that this stage could continue",
        **{
            "fix": f"search first: hpo run bayes {options}",
            "or, without a search": f"hpo run {stage} --from paper {options}",
        },
    )


def another_study(name: str, stage: str) -> str:
    """Return the advice to start another study with ``stage`` from what study ``name`` found."""
    command = shell_line("hpo", "run", stage, "--from", name, "--study", "NEW")
    return f"add it to the command that starts another study from what this one found: {command}"


def another_search(
    plan: StudyPlan,
    typed: StudyRequest,
    search: StageRequest,
    environment: Environment,
    commands: TaskCommands,
) -> str:
    """Return the advice to start another search with the options that were typed.

    Args:
        plan: Plan of the study that the options do not fit; decides on options that were not typed.
        typed: Options that were typed, and the place of the data; an empty study file if none was typed.
        search: Options of the search that were typed.
        environment: Says where generated data are, which ``hpo run bayes`` makes without options.
        commands: Commands of the task that ``hpo run bayes`` optimises without a study file.
    """
    is_usual = plan.study.task == commands.task
    if is_usual and typed.features is None and Path(typed.data).is_relative_to(environment.runs / "data"):
        data = ["--games", ",".join(map(str, typed.counts))] if typed.counts else []
        usual_file = commands.demo.study_file
    else:
        data, usual_file = _data(plan, typed), commands.study_file
    options = {
        "--study-file": typed.study_file or ("" if _is_file_of(plan, usual_file) else "FILE"),
        "--labels": typed.labels,
        "--seed": typed.seed,
        "--device": None if typed.device == "auto" else typed.device,
    }
    words = [str(word) for pair in options.items() if pair[1] not in (None, "") for word in pair]
    words += ["--skip-missing"] if typed.skip_missing else []
    command = shell_line("hpo", "run", SEARCH, "--study", "NEW", *data, *words, *_search_words(search))
    return f"start another study with it: {command}"


def _is_file_of(plan: StudyPlan, study_file: str) -> bool:
    """Return whether an installed study file has the settings of a study."""
    study = load_study(study_file)
    return not differing_settings(study, plan.study) and _tables(study) == _tables(plan.study)


def _tables(study: StudyFile) -> dict[str, Any]:
    return study.stages.model_dump(mode="json")


def _search_words(search: StageRequest) -> list[str]:
    """Return the options of a search as they are typed."""
    given = {name: search.options.get(name) for name in _OF_A_SEARCH}
    words = [(f"--{name.replace('_', '-')}", value) for name, value in given.items() if value is not None]
    if search.tried and Path(search.tried.source).is_file():
        words.append(("--try", search.tried.source))
    words += [("--space", text) for text in bounds_in_words(search.bounds)]
    return [str(word) for pair in words for word in pair]


def _data(plan: StudyPlan, typed: StudyRequest) -> list[str]:
    place = _data_place(typed.data) if plan.description.reads_data else []
    counts = typed.counts or (plan.train.items, plan.valid.items)
    return [*place, *plan.task.data_options(typed.features or plan.features, counts)]


def _data_place(data: str) -> list[str]:
    """Return the option that names a folder or URI of data."""
    return ["--data-uri" if is_uri(data) else "--data", data]
