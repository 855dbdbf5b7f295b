"""Checks of an installation: what is fine, what is a problem, and what is never shown."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hpo.api import doctor
from hpo.cli.main import app
from model.errors import UserError


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine where Ray starts, with room for folders and store under the temporary folder."""
    monkeypatch.setattr(doctor, "_ray", lambda environment: "starts on this machine")
    monkeypatch.setattr(doctor, "_LEAST_FREE_BYTES", 0)
    monkeypatch.setattr(doctor, "_store", lambda environment: environment.tracking_uri)
    monkeypatch.setenv("HPO_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("HPO_CACHE", str(tmp_path / "cache"))
    for name in ("HPO_DATA", "MLFLOW_TRACKING_URI", "RAY_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def findings(data: Path | None = None) -> dict[str, doctor.Finding]:
    return {finding.check: finding for finding in doctor.examine(data)}


def test_a_sound_machine_has_no_problem_and_nothing_is_left_behind(machine: Path) -> None:
    found = findings()
    assert all(finding.ok for finding in found.values()), found
    assert {"hpo", "python", "torch", "ray", "mlflow", "botorch", "devices", "HPO_RUNS", "Ray"} <= set(found)
    assert "does not exist yet" in found["HPO_RUNS"].found and "GiB free" in found["HPO_RUNS"].found
    assert list(machine.iterdir()) == []


def test_each_problem_has_a_line_with_what_to_do(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (machine / "file").write_text("")
    monkeypatch.setenv("HPO_CACHE", str(machine / "file" / "cache"))
    monkeypatch.setattr(doctor, "_LEAST_FREE_BYTES", 1 << 80)

    def refused(environment: object) -> str:
        raise ValueError("no\nport")

    monkeypatch.setattr(doctor, "_ray", refused)
    found = findings(machine / "absent")
    assert [name for name, finding in found.items() if not finding.ok] == [
        "HPO_RUNS",
        "HPO_CACHE",
        "Ray",
        "data",
    ]
    assert "expected 1 GiB or more" in found["HPO_RUNS"].found and "HPO_RUNS" in found["HPO_RUNS"].fix
    assert "is no folder" in found["HPO_CACHE"].found
    assert found["Ray"].found == "ValueError: no port"
    assert found["data"].line.startswith("problem  data") and " -> give the folder" in found["data"].line


def test_environment_that_cannot_be_read_is_a_problem(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (machine / "file").write_text("")
    monkeypatch.setenv("HPO_RUNS", str(machine / "file"))
    assert not findings()["environment"].ok


def test_secrets_are_masked(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(environment: object) -> str:
        raise UserError("no answer from http://me:topsecret@host", fix="unset password=topsecret")

    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:topsecret@host:5000")
    monkeypatch.setattr(doctor, "_ray", refused)
    result = CliRunner().invoke(app, ["doctor"])
    assert result.exit_code == 1
    assert "topsecret" not in result.output and "host" in result.output


def test_data_folder_with_its_lists(machine: Path) -> None:
    (machine / "data").mkdir()
    (machine / "data" / "dataset.toml").write_text('labels = "v1"\n')
    without = findings(machine / "data")["data"]
    assert not without.ok and "has no list of games, expected train.txt" in without.found
    (machine / "data" / "train.txt").write_text("a\n")
    found = findings(machine / "data")["data"]
    assert found.ok and "3 classes, lists of train;" in found.found


def test_json_has_the_same_findings() -> None:
    result = CliRunner().invoke(app, ["doctor", "--json"])
    assert result.exit_code == 0
    records = json.loads(result.output)
    assert all(set(record) == {"check", "ok", "found", "fix"} for record in records)
    assert "Ray" in [record["check"] for record in records]
