"""Folders of studies: their names, the default one, and places of data beside them."""

from datetime import UTC, datetime

import pytest

from hpo.config.environment import Environment
from hpo.journal.events import Noticed
from hpo.journal.journal import Journal
from hpo.study.folders import (
    chosen_study,
    found_place,
    free_name,
    known_studies,
    make_free,
    require_free,
    stored_place,
    study_folder,
)
from model.errors import UserError


@pytest.mark.parametrize("place", ["s3://bucket/games", "/data/games"])
def test_other_places_are_stored_whole(environment: Environment, place: str) -> None:
    folder = study_folder(environment, "s")
    assert found_place(stored_place(place, folder), folder) == stored_place(place, folder) == place


def test_last_study_is_chosen_by_default_and_names_are_made_free(environment: Environment) -> None:
    with Journal.create(study_folder(environment, "begun")) as journal:
        journal.append(Noticed(message="a study with an event"))
    assert chosen_study(environment, None).name == "begun"
    assert known_studies(environment) == ["begun"]
    assert free_name(environment, "begun") == "begun-2"
    assert free_name(environment, "new") == "new"
    with pytest.raises(UserError, match="there is no study 'other'"):
        chosen_study(environment, "other")
    with pytest.raises(UserError, match="plain file name"):
        study_folder(environment, "../other")


def test_name_that_is_taken_is_refused(environment: Environment) -> None:
    require_free(environment, "new")
    with Journal.create(study_folder(environment, "new")) as journal:
        journal.append(Noticed(message="a study with an event"))
    with pytest.raises(UserError, match="study 'new' exists already"):
        require_free(environment, "new")


@pytest.mark.parametrize("name", ["-x", "--study", "a\nb", "a\tb", "a\x1b[31m", "\u200b"])
def test_name_that_no_command_can_be_typed_with_is_for_no_new_study(
    name: str, environment: Environment
) -> None:
    with pytest.raises(UserError, match="without a hyphen at its start and with printable characters only"):
        require_free(environment, name)
    with Journal.create(study_folder(environment, name)) as journal:
        journal.append(Noticed(message="a study from before the rule"))
    assert chosen_study(environment, name).name == name


@pytest.mark.parametrize(("letter", "most"), [("x", 255), ("ü", 127)])
def test_name_that_is_too_long_for_a_folder_is_refused(
    letter: str, most: int, environment: Environment
) -> None:
    require_free(environment, most * letter)
    with pytest.raises(UserError, match="expected a name of a study with 255 bytes at most, got 256"):
        require_free(environment, 256 // len(letter.encode()) * letter)


def test_name_that_means_the_study_files_own_configuration_is_for_no_study(environment: Environment) -> None:
    with pytest.raises(UserError, match="a study cannot be named 'paper'"):
        make_free(environment, "paper")


def test_what_a_start_that_was_killed_leaves_is_no_study_and_takes_no_name(environment: Environment) -> None:
    folder = study_folder(environment, "new")
    with Journal.create(folder), pytest.raises(UserError, match="study 'new' is being made by process"):
        make_free(environment, "new")
    assert known_studies(environment) == []
    require_free(environment, "new")
    assert free_name(environment, "new") == "new"
    make_free(environment, "new")
    assert not folder.exists()


def test_folder_with_files_of_somebody_else_is_taken(environment: Environment) -> None:
    Journal.create(study_folder(environment, "new")).close()
    notes = study_folder(environment, "new") / "notes.txt"
    notes.touch()
    assert free_name(environment, "new") == "new-2"
    with pytest.raises(UserError, match="there is a folder 'new' already, without a study"):
        make_free(environment, "new")
    assert notes.exists()


def test_study_that_changed_last_is_known_by_its_events_also_in_a_copy(environment: Environment) -> None:
    for name, hour in (("late", 12), ("early", 11)):
        with Journal.create(study_folder(environment, name)) as journal:
            journal.append(Noticed(message="hello", at=datetime(2026, 1, 1, hour, tzinfo=UTC)))
    assert known_studies(environment) == ["late", "early"]
    (study_folder(environment, "late") / "journal.jsonl").write_text("damaged\n")
    assert known_studies(environment) == ["late", "early"], "the time of the file"
