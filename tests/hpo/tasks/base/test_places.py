"""Where a study's games lie."""

from pathlib import Path

import pytest

from hpo.tasks.base.places import chosen_place, place_of
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


def test_a_uri_in_place_of_a_folder_is_refused_with_the_option_to_use(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="expected --data with a folder, got s3:/bucket/games") as refused:
        chosen_place(Path("s3://bucket/games"), None, default=DEFAULT)
    assert refused.value.details["fix"] == "for a URI, use --data-uri"


@pytest.mark.parametrize(
    ("typed", "place"),
    [("s3://b/x", "s3://b/x"), ("games", str(Path("games").absolute())), (Path("/g"), "/g")],
)
def test_a_place_may_be_typed_as_a_folder_or_a_uri(typed: str | Path, place: str) -> None:
    assert place_of(typed) == place


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
        "ftp://me:sec[ret@host/games",
    ],
)
def test_a_secret_in_a_uri_is_refused_and_not_shown(uri: str) -> None:
    with pytest.raises(ConfigError, match="which the journal and MLflow would show") as refused:
        chosen_place(None, uri, default=DEFAULT)
    assert "secret" not in str(refused.value)
