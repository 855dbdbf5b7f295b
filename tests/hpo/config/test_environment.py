import os
from pathlib import Path
from urllib.request import proxy_bypass

import pytest

from hpo.config.environment import (
    has_password,
    provide_home,
    reach_directly,
    read_environment,
    without_passwords,
)
from model.errors import ConfigError


def test_nothing_set_means_a_folder_here_and_a_cache_at_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    environment = read_environment({})
    assert environment.runs == tmp_path / "hpo-runs"
    assert environment.cache == Path.home() / ".cache" / "hpo"
    assert environment.tracking_uri == f"sqlite:///{tmp_path}/hpo-runs/mlflow.db"


def test_variables_win_over_defaults(tmp_path: Path) -> None:
    environment = read_environment(
        {"HPO_RUNS": str(tmp_path / "r"), "HPO_CACHE": "~/c", "MLFLOW_TRACKING_URI": "http://server:5000"}
    )
    assert environment.runs == tmp_path / "r"
    assert environment.cache == Path.home() / "c"
    assert environment.tracking_uri == "http://server:5000"


def test_empty_variable_counts_as_unset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert read_environment({"HPO_RUNS": "", "MLFLOW_TRACKING_URI": ""}) == read_environment({})


def test_reading_creates_nothing(tmp_path: Path) -> None:
    read_environment({"HPO_RUNS": str(tmp_path / "runs"), "HPO_CACHE": str(tmp_path / "cache")})
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_place_of_a_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("")
    with pytest.raises(ConfigError, match="HPO_RUNS names a file, expected a folder"):
        read_environment({"HPO_RUNS": str(tmp_path / "runs")})


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://ann:s3cret@host:5000/a", "http://host:5000/a"),
        ("http://ann:s3c@ret@host", "http://host"),
        ("postgresql://ann:s3/cret@host/db", "postgresql://host/db"),
        ("MLflow at 'http://ann:s3cret@host' is down", "MLflow at 'http://host' is down"),
        ("mysql://host/db?user=ann&password=s3cret&ssl=1", "mysql://host/db?user=ann&password=***&ssl=1"),
        ("http://host/a", "http://host/a"),
        ("sqlite:////home/ann@uni.de/mlflow.db", "sqlite:////home/ann@uni.de/mlflow.db"),
        ("write to ann@host", "write to ann@host"),
    ],
)
def test_addresses_are_shown_without_user_and_password(text: str, shown: str) -> None:
    assert without_passwords(text) == shown


@pytest.mark.parametrize(
    ("address", "has"),
    [
        ("http://ann:s3cret@host:5000/a", True),
        ("postgresql://ann:s3/cret@host/db", True),
        ("postgresql+psycopg2://ann@host/db?password=s3cret", True),
        ("postgresql://ann@host:5432/db", False),
        ("http://host:5000", False),
        ("sqlite:////home/a:b@uni.de/mlflow.db", False),
    ],
)
def test_a_user_alone_is_no_password(address: str, has: bool) -> None:
    assert has_password(address) == has


def test_a_job_of_a_cluster_must_say_where_studies_live() -> None:
    job = {"RAY_JOB_CONFIG_JSON_ENV_VAR": "{}", "RAY_ADDRESS": "10.0.0.1:6379"}
    with pytest.raises(ConfigError, match="HPO_RUNS is missing: a job on a Ray cluster needs"):
        read_environment(job)
    assert read_environment({**job, "HPO_RUNS": "/shared"}).ray_address == "10.0.0.1:6379"


def test_the_cluster_that_was_typed_wins() -> None:
    environment = read_environment({"RAY_ADDRESS": "10.0.0.1:6379"})
    assert environment.on_cluster("auto").ray_address == "auto"
    assert environment.on_cluster(None) == environment
    assert read_environment({}).ray_address is None


def test_rays_word_for_this_machine_is_no_cluster() -> None:
    assert read_environment({"RAY_ADDRESS": "local"}).ray_address is None
    assert read_environment({"RAY_ADDRESS": "10.0.0.1:6379"}).on_cluster("local").ray_address is None


@pytest.mark.parametrize("home", ["none", "missing", "read-only"])
def test_without_a_home_to_write_to_the_cache_lies_with_the_studies(
    home: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "home"
    monkeypatch.setenv("HOME", str(place))
    if home == "none":
        monkeypatch.setattr(Path, "home", _homeless)
    if home == "read-only":
        place.mkdir()
        monkeypatch.setattr("os.access", lambda path, mode: not Path(path).is_relative_to(place))
    environment = read_environment({"HPO_RUNS": str(tmp_path / "runs")})
    assert environment.cache == tmp_path / "runs" / "cache"
    assert home == "read-only" or not place.exists()


def test_a_folder_of_a_home_that_is_not_there_is_an_error_that_names_the_variable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Path, "expanduser", _homeless)
    with pytest.raises(ConfigError, match="HPO_RUNS begins with ~, but this user has no home: ~/c"):
        read_environment({"HPO_RUNS": "~/c"})


def test_a_user_without_a_home_gets_one_beside_the_studies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "home", _homeless)
    for name in ("HOME", "HPO_CACHE", "MPLCONFIGDIR"):
        monkeypatch.setenv(name, "")
    monkeypatch.delenv("MPLCONFIGDIR")
    monkeypatch.setenv("HPO_RUNS", str(tmp_path))
    provide_home()
    assert os.environ["HOME"] == str(tmp_path / "home")
    assert os.environ["HPO_CACHE"] == str(tmp_path / "cache")
    assert os.environ["MPLCONFIGDIR"] == str(tmp_path / "cache" / "matplotlib")
    assert not list(tmp_path.iterdir())


def test_a_user_with_a_home_keeps_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    before = dict(os.environ)
    provide_home()
    assert dict(os.environ) == before


def _homeless(*_: object) -> Path:
    raise RuntimeError("Could not determine home directory.")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({}, "localhost,127.0.0.1"),
        ({"no_proxy": "intern, localhost"}, "intern,localhost,127.0.0.1"),
        ({"NO_PROXY": "intern"}, "intern,localhost,127.0.0.1"),
        ({"no_proxy": "*"}, "*"),
    ],
)
def test_a_proxy_is_passed_by_for_the_hosts_that_are_named(
    before: dict[str, str], after: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "")
    for name, value in before.items():
        monkeypatch.setenv(name, value)
    reach_directly("localhost", "127.0.0.1")
    assert os.environ["no_proxy"] == os.environ["NO_PROXY"] == after
    monkeypatch.setenv("http_proxy", "http://proxy:3128")
    assert proxy_bypass("127.0.0.1")
    assert proxy_bypass("elsewhere.org") == (after == "*")
