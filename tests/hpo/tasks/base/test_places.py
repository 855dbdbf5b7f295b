"""Where a study's games lie."""

from pathlib import Path

import pytest

from hpo.tasks.base.places import chosen_place
from model.errors import ConfigError

DEFAULT = Path("/data")


def test_a_folder_is_absolute_and_a_uri_stays_as_it_is() -> None:
    assert chosen_place(None, None, default=DEFAULT) == "/data"
    assert chosen_place(Path("games"), None, default=DEFAULT) == str(Path.cwd() / "games")
    assert chosen_place(None, "s3://bucket/games/", default=DEFAULT) == "s3://bucket/games"


@pytest.mark.parametrize(
    "uri", ["hf://datasets/u/repo@main/games", "s3://bucket/games@v1", "hdfs://h:80/a@b"]
)
def test_an_at_sign_in_the_path_of_a_uri_is_no_user(uri: str) -> None:
    assert chosen_place(None, uri, default=DEFAULT) == uri


def test_a_folder_and_a_uri_are_one_too_many() -> None:
    with pytest.raises(ConfigError, match="expected either --data or --data-uri, got both"):
        chosen_place(Path("games"), "s3://bucket", default=DEFAULT)


@pytest.mark.parametrize("word", ["games", "/games", ""])
def test_what_is_no_uri_is_refused(word: str) -> None:
    with pytest.raises(ConfigError, match="expected --data-uri with a URI such as s3://BUCKET/FOLDER"):
        chosen_place(None, word, default=DEFAULT)


@pytest.mark.parametrize(
    "uri",
    [
        "ftp://me:secret@host/games",
        "https://host/games?signature=secret",
        "http://secret@host/games",
        "ftp://me:sec/secret@host/games",
    ],
)
def test_a_secret_in_a_uri_is_refused_and_not_shown(uri: str) -> None:
    with pytest.raises(ConfigError, match="which the journal and MLflow would show") as refused:
        chosen_place(None, uri, default=DEFAULT)
    assert "secret" not in str(refused.value)
