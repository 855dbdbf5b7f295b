"""Study file and commands that run a study again."""

import json
from typing import Any

import tomli_w

from hpo.journal.results import StudyState
from hpo.space.symbols import by_symbol
from hpo.study.plan import StudyPlan
from hpo.tasks.base.found import found_configuration
from hpo.tasks.base.places import is_uri
from hpo.tasks.base.registry import external_task_code
from model.shell import shell_line


def study_file_toml(plan: StudyPlan, state: StudyState) -> str:
    """Return the study file as it was run, including the options that were typed and the number format."""
    document = plan.study.model_dump(mode="json", by_alias=True)
    if "precision" in document["training"]:
        document["training"]["precision"] = plan.precision
    for name, asked in state.asked.items():
        document["stages"][name] = dict(asked.settings)
    return tomli_w.dumps(_without_none(document))


def start_files(state: StudyState) -> dict[str, str]:
    """Return a file (name -> content) for every stage that started from a given configuration."""
    return {
        f"start-{name}.json": json.dumps(by_symbol(asked.start), indent=2)
        for name, asked in state.asked.items()
        if asked.start
    }


def commands(plan: StudyPlan, state: StudyState, *, file: str) -> list[str]:
    """Return the commands that run the study again from ``file``, and that compare both studies."""
    study, starts = state.created.study, start_files(state)
    new_study = f"{study}-again"
    new = ["--study-file", f"./{file}"]
    if plan.description.reads_data:
        new += ["--data-uri" if is_uri(plan.data) else "--data", plan.data]
    new += plan.task.data_options(plan.features, (plan.train.items, plan.valid.items))
    new += ["--seed", str(plan.seed), "--device", plan.device]
    lines: list[str] = []
    for name, asked in state.asked.items():
        parts = ["hpo", "run", name, "--study", new_study, *(new if not lines else [])]
        if asked.known:
            parts += ["--warm-start", asked.known["study"]]
        if f"start-{name}.json" in starts:
            parts += ["--from", f"./start-{name}.json"]
        lines.append(shell_line(*parts))
    found = found_configuration(state)
    best = [f"{study}/{found.trial.trial}"] if found else []
    return [
        *_module_folder(plan),
        *lines,
        shell_line("hpo", "compare", study, new_study),
        *(shell_line("hpo", "reproduce", name) for name in best),
    ]


def _module_folder(plan: StudyPlan) -> list[str]:
    """Return the command after which Python finds the module of an external task."""
    code = external_task_code(plan.study.task)
    return [] if code is None else [shell_line("export", f"PYTHONPATH={code.parent}")]


def _without_none(entry: Any) -> Any:
    """TOML has no word for None; leaving it out means the same."""
    if isinstance(entry, dict):
        return {key: _without_none(value) for key, value in entry.items() if value is not None}
    return entry
