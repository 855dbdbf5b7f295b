from pathlib import Path

import pytest
from typer.testing import CliRunner

from hpo.cli.data import app
from model.errors import ConfigError, DataError


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    result = CliRunner().invoke(
        app, ["synthetic", "--to", str(folder), "--games", "1,1,1", "--minutes", "15"]
    )
    assert result.exit_code == 0 and "goal = [-20.0, -10.0, 60.0, 90.0]" in result.stdout
    return folder


def test_check_shows_the_counts_of_a_sound_data_set(root: Path) -> None:
    result = CliRunner().invoke(app, ["check", str(root)])
    assert result.exit_code == 0
    rows = {line.split()[0]: line.split()[1:] for line in result.stdout.splitlines() if line.split()}
    assert rows["games"] == ["1", "1", "1"]
    assert rows["frames"] == ["3,600"] * 3
    assert result.stdout.rstrip().endswith("no problems")


def test_check_lists_every_problem_and_ends_in_an_error(root: Path) -> None:
    result = CliRunner().invoke(app, ["check", str(root), "--features", "resnet"])
    assert isinstance(result.exception, DataError)
    missing = [line for line in result.stdout.splitlines() if "resnet.npy: missing" in line]
    assert len(missing) == 6 and f"6 problems in {root}" in str(result.exception)


@pytest.mark.parametrize("games", ["3", "1,2", "a,b,c", "1,1,-1"])
def test_synthetic_wants_three_numbers_of_games(games: str, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["synthetic", "--to", str(tmp_path), "--games", games])
    assert isinstance(result.exception, ConfigError)


def test_wyscout_without_its_files_is_an_error_for_the_user(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["wyscout", "--from", str(tmp_path), "--to", str(tmp_path / "to")])
    assert isinstance(result.exception, DataError)
