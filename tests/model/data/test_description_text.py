"""Commands add tables to a ``dataset.toml`` and leave what a person wrote."""

from pathlib import Path

import pytest

from model.data.description_text import add_table, description_document
from model.errors import DataError


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


def test_contradiction_is_an_error_and_changes_nothing(tmp_path: Path) -> None:
    own = 'name = "handball"\n[classes]\ngoal = ["goal"]\n'
    (tmp_path / "dataset.toml").write_text(own)
    with pytest.raises(DataError, match="has some of what is to be added"):
        add_table(tmp_path, {"classes": {"goal": ["Goal"]}})
    assert (tmp_path / "dataset.toml").read_text() == own
