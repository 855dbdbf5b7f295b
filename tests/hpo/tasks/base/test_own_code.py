"""Errors of a task outside this package, shown with the place in its code."""

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from hpo.journal.events import StudyCreated
from hpo.tasks.base.own_code import own_errors, place_in_task
from hpo.tasks.base.registry import description_of, task_named
from model.errors import ConfigError, DataError, UserError

SOURCE = """
from hpo.tasks.base.task import Task

def parse(text):
    return int(text)

class Broken(Task):
    def open_data(self, *args): return parse("seven")
    def open_split(self, *args): raise KeyError("rows")
    def shape(self, *args): ...
    def slot(self, *args, **kwargs): ...

TASK = Broken()
"""


@pytest.fixture
def broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    (tmp_path / "broken_task.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(tmp_path)
    task_named("broken_task")
    yield sys.modules.pop("broken_task")


def test_error_in_the_code_of_a_task_names_line_and_function(broken: ModuleType) -> None:
    with pytest.raises(ConfigError, match="task broken_task raised ValueError: invalid literal") as refusal:
        with own_errors("broken_task"):
            broken.TASK.open_data()
    assert refusal.value.details["at"] == "broken_task.py, line 5, in parse"
    assert refusal.value.__cause__ is not None


def test_error_elsewhere_stays_what_it_is(broken: ModuleType) -> None:
    with pytest.raises(ZeroDivisionError), own_errors("broken_task"):
        _ = 1 / 0
    with pytest.raises(DataError), own_errors("broken_task"):
        raise DataError("no rows")


def test_tasks_of_this_package_have_no_code_of_the_user() -> None:
    assert place_in_task(ValueError("x"), "calf") == ""


@pytest.mark.parametrize(
    ("job", "fix"),
    [("{}", "hpo submit --task no_task_of_a_test -- resume mine"), (None, "export PYTHONPATH=FOLDER")],
)
def test_study_whose_task_is_missing_says_how_to_reach_it_also_in_a_job(
    job: str | None, fix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if job is not None:
        monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", job)
    plan = {"study": {"task": "no_task_of_a_test"}}
    created = StudyCreated(study="mine", plan=plan, seed=0, data_digest="", code_digest="", versions={})
    with pytest.raises(UserError, match="study 'mine' needs its task") as refused:
        description_of(created)
    assert refused.value.details["fix"].endswith(fix)
