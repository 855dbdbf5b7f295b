"""Folders of studies that are renamed, deleted and copied."""

import shutil
from pathlib import Path

import pytest

from hpo.config.environment import Environment
from hpo.journal.journal import Journal
from hpo.study.folders import known_studies, require_free, study_folder, twins_of
from hpo.study.plan import StudyPlan
from hpo.study.recorded.catalogue import delete_study, rename_study
from hpo.study.running.preparing import creation
from hpo.study.running.session import sync_study
from model.errors import UserError


@pytest.fixture
def one(small_plan: StudyPlan, environment: Environment) -> Path:
    """A study that has begun."""
    folder = study_folder(environment, "one")
    with Journal.create(folder) as journal:
        journal.append(creation(small_plan, folder))
    return folder


def test_copy_of_a_folder_does_not_change_the_record_of_the_study(
    one: Path, environment: Environment
) -> None:
    copy = shutil.copytree(one, one.with_name("copy"))
    assert twins_of(copy) == ["one"] and known_studies(environment) == ["one", "copy"]
    for change in (lambda: rename_study("copy", "new", environment), lambda: sync_study("copy", environment)):
        with pytest.raises(UserError, match="'copy' is a copy of the folder of study 'one'") as refused:
            change()
        assert refused.value.details["fix"].endswith("hpo resume one --fork NEW")
    shutil.rmtree(one)
    rename_study("copy", "new", environment)
    assert known_studies(environment) == ["new"]


def test_deletion_that_is_killed_leaves_no_part_of_a_study_and_the_next_one_removes_the_rest(
    one: Path, environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(folder: Path) -> None:
        (folder / "lock").unlink()
        raise KeyboardInterrupt

    other = shutil.copytree(one, one.with_name("other"))
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(shutil, "rmtree", killed)
        delete_study("one", environment, before=lambda: None)
    assert known_studies(environment) == ["other"]
    require_free(environment, "one")
    delete_study("other", environment, before=lambda: None)
    assert not list(other.parent.iterdir())
