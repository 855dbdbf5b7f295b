from pathlib import Path

import pytest

from hpo.config.environment import read_environment, without_passwords
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
        ("write to ann@host", "write to ann@host"),
    ],
)
def test_addresses_are_shown_without_user_and_password(text: str, shown: str) -> None:
    assert without_passwords(text) == shown


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
