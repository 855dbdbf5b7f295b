"""Where a study's games lie."""

from dataclasses import replace
from pathlib import Path

import pytest

from hpo.config.environment import Environment
from hpo.study.plan import StudyPlan, StudyRequest, make_plan, reopen_data
from hpo.tasks.base.places import chosen_place
from model.errors import ConfigError

DEFAULT = Path("/data")


def test_a_folder_is_absolute_and_a_uri_stays_as_it_is() -> None:
    assert chosen_place(None, None, default=DEFAULT) == "/data"
    assert chosen_place(Path("games"), None, default=DEFAULT) == str(Path.cwd() / "games")
    assert chosen_place(None, "s3://bucket/games/", default=DEFAULT) == "s3://bucket/games"


def test_a_folder_and_a_uri_are_one_too_many() -> None:
    with pytest.raises(ConfigError, match="expected either --data or --data-uri, got both"):
        chosen_place(Path("games"), "s3://bucket", default=DEFAULT)


@pytest.mark.parametrize("word", ["games", "/games", ""])
def test_what_is_no_uri_is_refused(word: str) -> None:
    with pytest.raises(ConfigError, match="expected --data-uri with a URI such as s3://BUCKET/FOLDER"):
        chosen_place(None, word, default=DEFAULT)


@pytest.mark.parametrize(
    "uri", ["ftp://me:secret@host/games", "https://host/games?signature=secret", "http://secret@host/games"]
)
def test_a_secret_in_a_uri_is_refused_and_not_shown(uri: str) -> None:
    with pytest.raises(ConfigError, match="which the journal and MLflow would show") as refused:
        chosen_place(None, uri, default=DEFAULT)
    assert "secret" not in str(refused.value)


def test_a_plan_on_a_uri_is_the_plan_on_the_folder_and_finds_its_data_again(
    small_plan: StudyPlan, small_games: Path, small_environment: Environment, tmp_path: Path
) -> None:
    environment = replace(small_environment, cache=tmp_path / "cache")
    seen: list[str] = []
    request = StudyRequest(
        study_file=str(small_environment.cache.parent / "study.toml"), data=small_games.as_uri(), seed=4
    )
    plan = make_plan(request, environment, lambda what, done, total: seen.append(what))
    assert plan.data_digest == small_plan.data_digest
    assert {"fetching train split", "reading train split", "fetching valid split"} <= set(seen)
    assert plan.train.remote is not None and plan.train.remote.uri == small_games.as_uri()
    again = StudyPlan.from_json(plan.to_json(), file="journal")
    assert again == plan
    elsewhere = replace(environment, cache=tmp_path / "another")
    assert reopen_data(again, elsewhere, lambda *_: None).data_digest == plan.data_digest
