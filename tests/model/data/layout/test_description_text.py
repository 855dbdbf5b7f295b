"""Commands add tables to a ``dataset.toml`` and leave what a person wrote."""

import re
from pathlib import Path

import pytest

from model.data.layout.description import read_description
from model.data.layout.description_text import add_table, description_document, labels_chosen
from model.errors import DataError
from model.features.games import declare_features
from model.recipe import Recipe

OWN = 'name = "handball"\nlabels_file = "L.json"\n[classes]\ngoal = ["goal"]\n[features]\n'


def test_what_a_person_wrote_stays(tmp_path: Path) -> None:
    own = '# mine\nname = "handball"\n[features]\naudio = "AUDIO"  # of the stadium\n[splits]\n'
    own += 'train = "t.txt"\n'
    (tmp_path / "dataset.toml").write_text(own)
    add_table(tmp_path, {"features": {"VIDEO": {"stem": "VIDEO"}}})
    assert (tmp_path / "dataset.toml").read_text().startswith(own.rstrip())
    document = description_document(tmp_path)
    assert document["features"] == {"audio": "AUDIO", "VIDEO": {"stem": "VIDEO"}}
    assert document["splits"] == {"train": "t.txt"}


def test_new_folder_gets_a_description(tmp_path: Path) -> None:
    add_table(tmp_path, {"classes": {"goal": ["Goal"]}})
    document = description_document(tmp_path)
    assert document["name"] == tmp_path.name and document["labels_file"] == "Labels.json"


def test_choice_between_both_labels_of_soccernet_is_shown_once_with_the_other_way(tmp_path: Path) -> None:
    game = tmp_path / "league" / "season" / "game"
    game.mkdir(parents=True)
    (game / "Labels.json").write_text("{}")
    assert labels_chosen(tmp_path) == ""
    (game / "Labels-v2.json").write_text("{}")
    chosen = labels_chosen(tmp_path)
    assert "dataset.toml says that Labels.json (v1, 3 classes) is read" in chosen
    assert 'write labels = "v2" at the top of dataset.toml, in place of its labels' in chosen
    declare_features(tmp_path, "X", recipe(2.0))
    assert read_description(tmp_path).labels_version == "v1" and labels_chosen(tmp_path) == ""


def test_contradiction_is_an_error_and_changes_nothing(tmp_path: Path) -> None:
    own = 'name = "handball"\n[classes]\ngoal = ["goal"]\n'
    (tmp_path / "dataset.toml").write_text(own)
    with pytest.raises(DataError, match="has some of what is to be added"):
        add_table(tmp_path, {"classes": {"goal": ["Goal"]}})
    assert (tmp_path / "dataset.toml").read_text() == own


def test_addition_that_makes_the_file_invalid_changes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "dataset.toml"
    for own, said in (
        (OWN + 'a = { stem = "A", frame_rate = 5 }\n', "another name of the files 'A' says something else"),
        (
            'features = { a = "A" }\n' + OWN.removesuffix("[features]\n"),
            r"write \[features\] on a line of its own",
        ),
    ):
        file.write_text(own)
        with pytest.raises(DataError, match=r"invalid|in braces") as refused:
            add_table(tmp_path, {"features": {"B": {"stem": "A", "frame_rate": 2}}})
        assert re.search(said, f"{refused.value.problems} {refused.value.details}")
        assert file.read_text() == own


def recipe(frame_rate: float) -> Recipe:
    return Recipe(model="m", weights="w", preprocessing="p", frame_rate=frame_rate)


@pytest.mark.parametrize("entry", ['x = { stem = "X", frame_rate = 5 }', 'X = "X"', 'x = "X"', 'x = "Y"'])
def test_features_get_the_recipe_that_their_entry_lacks(tmp_path: Path, entry: str) -> None:
    (tmp_path / "dataset.toml").write_text(f"{OWN}{entry}\n")
    for _ in range(2):
        declare_features(tmp_path, "X", recipe(5.0))
        description = read_description(tmp_path)
        assert description.recipes == {"X": recipe(5.0)} and len(description.features) == 2
        assert description.feature_stem("X") == "X"


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ('x = { stem = "X", frame_rate = 5 }', "frame_rate = 5, expected 2, the rate of the extraction"),
        ('X = "Y"', "the name X stands for the features 'Y', expected X"),
    ],
)
def test_features_that_the_file_declares_otherwise_are_refused(tmp_path: Path, entry: str, said: str) -> None:
    (tmp_path / "dataset.toml").write_text(f"{OWN}{entry}\n")
    with pytest.raises(DataError, match=said):
        declare_features(tmp_path, "X", recipe(2.0))
    assert (tmp_path / "dataset.toml").read_text() == f"{OWN}{entry}\n"
