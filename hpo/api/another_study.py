"""Commands that start a study, where there is none to continue, or an option does not fit the one named."""

from pathlib import Path
from typing import Any

from hpo.config.bounds import bounds_in_words
from hpo.config.differences import differing_settings
from hpo.config.environment import Environment
from hpo.config.stages import SEARCH
from hpo.config.study_file import StudyFile
from hpo.study.folders import PAPER
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


def without_versions(name: str, labels: str) -> ConfigError:
    """Return the error for ``--labels`` of study ``name``, whose data have no versions of labels."""
    return ConfigError(
        f"the data of study {name!r} have no versions of labels, got --labels {labels}",
        fix="leave --labels out",
    )


def another_study(
    name: str,
    plan: StudyPlan,
    typed: StudyRequest,
    stage: StageRequest,
    environment: Environment,
    commands: TaskCommands,
    *,
    names_data: bool,
) -> str:
    """Return the advice to start another study with ``stage`` and the options that were typed.

    Args:
        name: Name of the study that the options do not fit.
        plan: Its plan.
        typed: Options that were typed, and the place of the data; an empty study file if none was typed.
        stage: The stage, with its typed options.
        environment: Says where generated data are.
        commands: Commands of the task that ``hpo run`` optimises without a study file.
        names_data: Whether data or features were typed.
    """
    if typed.study_file and typed.load().task != plan.study.task:
        return _another_task(plan, typed, stage.name)
    if stage.name == SEARCH:
        return another_search(plan, typed, stage, environment, commands)
    words: list[str] = []
    if names_data:  # the new study takes neither data nor settings of this one
        words = [*_data_place(typed.data), *_study_file(plan, typed, commands.study_file)]
    command = shell_line("hpo", "run", stage.name, "--from", name, "--study", "NEW", *words)
    return f"add it to the command that starts another study from what this one found: {command}"


def _another_task(plan: StudyPlan, typed: StudyRequest, stage: str) -> str:
    """Return the advice for a study file of another task, which has no use for this one's data and choice."""
    source = [] if stage == SEARCH else ["--from", PAPER]
    data = [] if typed.data == plan.data else _data_place(typed.data)
    features = ["--features", typed.features] if typed.features else []
    words = [*source, "--study", "NEW", "--study-file", typed.study_file, *data, *features]
    return f"start another study with it: {shell_line('hpo', 'run', stage, *words)}"


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
        "--labels": typed.labels,
        "--seed": typed.seed,
        "--device": None if typed.device == "auto" else typed.device,
    }
    words = [str(word) for pair in options.items() if pair[1] not in (None, "") for word in pair]
    words += ["--skip-missing"] if typed.skip_missing else []
    file = _study_file(plan, typed, usual_file)
    command = shell_line("hpo", "run", SEARCH, "--study", "NEW", *data, *file, *words, *_search_words(search))
    return f"start another study with it: {command}"


def _study_file(plan: StudyPlan, typed: StudyRequest, usual: str) -> list[str]:
    """Return the option of the study file, which the command without it would take as ``usual``."""
    file = typed.study_file or ("" if _is_file_of(plan, usual) else "FILE")
    return ["--study-file", file] if file else []


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
