"""Commands that start another study, where an option does not fit the study that is named."""

from pathlib import Path

from hpo.config.environment import Environment
from hpo.config.stages import SEARCH
from hpo.study.plan import StudyPlan, StudyRequest
from hpo.tasks.base.places import is_uri
from model.shell import shell_line


def data_place(data: str) -> list[str]:
    """Return the option that names a folder or URI of data."""
    return ["--data-uri" if is_uri(data) else "--data", data]


def another_study(name: str, stage: str) -> str:
    """Return the advice to start another study with ``stage`` from what study ``name`` found."""
    command = shell_line("hpo", "run", stage, "--from", name, "--study", "NEW")
    return f"add it to the command that starts another study from what this one found: {command}"


def another_search(plan: StudyPlan, typed: StudyRequest, environment: Environment, *, usual: str) -> str:
    """Return the advice to start another search with the options that were typed.

    Args:
        plan: Plan of the study that the options do not fit; decides on options that were not typed.
        typed: Options that were typed, and the place of the data; an empty study file if none was typed.
        environment: Says where generated data are, which the usual search makes without options.
        usual: Task of a search without a study file.
    """
    is_usual = plan.study.task == usual
    options = {
        "--study-file": typed.study_file or ("" if is_usual else "FILE"),
        "--labels": typed.labels,
        "--seed": typed.seed,
        "--device": None if typed.device == "auto" else typed.device,
    }
    words = [str(word) for pair in options.items() if pair[1] not in (None, "") for word in pair]
    words += ["--skip-missing"] if typed.skip_missing else []
    if is_usual and typed.features is None and Path(typed.data).is_relative_to(environment.runs / "data"):
        data = ["--games", ",".join(map(str, typed.counts))] if typed.counts else []
    else:
        data = _data(plan, typed)
    command = shell_line("hpo", "run", SEARCH, "--study", "NEW", *data, *words)
    return f"start another study with it: {command}"


def _data(plan: StudyPlan, typed: StudyRequest) -> list[str]:
    place = data_place(typed.data) if plan.description.reads_data else []
    counts = typed.counts or (plan.train.items, plan.valid.items)
    return [*place, *plan.task.data_options(typed.features or plan.features, counts)]
