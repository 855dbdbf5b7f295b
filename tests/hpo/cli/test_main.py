"""Errors of the machine are one line, like those of the user."""

import errno
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner
from weights.published_files import small_network, write_keras

from hpo.api.functions import plan
from hpo.api.options import Options
from hpo.cli import main as command
from hpo.cli.help_sections import COMMANDS
from hpo.cli.networks import import_weights
from model.errors import ConfigError, StorageError


def run(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> int:
    def fail() -> None:
        raise error

    monkeypatch.setattr(command, "app", fail)
    monkeypatch.setattr(command, "_collect_seldom", lambda: None)
    monkeypatch.setattr("hpo.api.process.provide_home", lambda: None)
    monkeypatch.setenv("no_proxy", "")
    monkeypatch.setenv("NO_PROXY", "")
    with pytest.raises(SystemExit) as end:
        command.main()
    assert isinstance(end.value.code, int)
    return end.value.code


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (OSError(errno.EACCES, "Permission denied", "/runs"), "Permission denied: /runs"),
        (OSError(errno.ENOSPC, "No space left on device"), "No space left on device"),
        (OSError(errno.EEXIST, "File exists", "a"), "expected a folder, found a file: a"),
        (OSError(errno.EISDIR, "Is a directory", "a"), "expected a file, found a folder: a"),
    ],
)
def test_a_place_that_cannot_be_written_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: OSError, line: str
) -> None:
    assert run(monkeypatch, error) == 2
    assert capsys.readouterr().err == f"error: {line}\n"


def test_error_of_a_read_only_folder_says_which_variables_name_another(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, OSError(errno.EROFS, "Read-only file system", "/runs/data")) == 2
    error, fix = capsys.readouterr().err.splitlines()
    assert error == "error: Read-only file system: /runs/data"
    assert all(variable in fix for variable in ("HPO_RUNS", "HPO_CACHE", "HPO_DATA"))


def test_ctrl_c_before_a_command_runs_ends_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, KeyboardInterrupt()) == 130
    assert capsys.readouterr() == ("", "")


def test_a_fault_of_the_program_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    for error in (OSError(errno.ENOENT, "No such file", "/runs"), OSError(errno.EISDIR, "Is a directory")):
        with pytest.raises(type(error)):
            run(monkeypatch, error)


def test_a_proxy_never_stands_before_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    from urllib.request import proxy_bypass

    monkeypatch.setattr(sys, "argv", ["hpo", "--version"])
    monkeypatch.setattr(command, "app", lambda: None)
    monkeypatch.setattr(command, "_collect_seldom", lambda: None)
    monkeypatch.setattr("hpo.api.process.provide_home", lambda: None)
    monkeypatch.setenv("no_proxy", "")
    monkeypatch.setenv("NO_PROXY", "")
    monkeypatch.setenv("http_proxy", "http://proxy:3128")
    command.main()
    assert all(proxy_bypass(host) for host in ("localhost", "127.0.0.1", "::1"))


STREAMS = """
import subprocess, sys
from pathlib import Path
from hpo.cli import main as command

def show():
    program = [sys.executable, "-c", "import os; [os.fstat(number) for number in (0, 1, 2)]"]
    numbers = [stream.fileno() for stream in (sys.stdin, sys.stdout, sys.stderr)]
    Path(sys.argv[1]).write_text(f"{numbers} {subprocess.run(program).returncode}")

command.app = show
command.main()
"""


def test_streams_that_are_closed_are_open_to_nowhere(tmp_path: Path) -> None:
    shown = tmp_path / "shown.txt"
    command = [sys.executable, "-c", STREAMS, str(shown)]
    subprocess.run(command, check=True, preexec_fn=lambda: os.closerange(0, 3))
    assert shown.read_text() == "[0, 1, 2] 0"


def help_of(*words: str) -> str:
    return CliRunner().invoke(command.app, [*words, "--help"]).output


def test_help_lists_every_command_in_one_section() -> None:
    listed = re.findall(r"^  ([a-z-]+) ", help_of().partition("Options:")[2], flags=re.MULTILINE)
    known = [name for names in COMMANDS.values() for name in names]
    assert sorted(name for name in listed if not name.startswith("--")) == sorted(known)
    assert sorted(known) == sorted(typer.main.get_group(command.app).commands)


@pytest.mark.parametrize("stage", ["bayes", "paper", "final"])
def test_help_of_a_stage_lists_every_option_in_one_section(stage: str) -> None:
    text = help_of("run", stage).partition("\nStudy:\n")[2]
    listed = re.findall(r"^  (--[a-z-]+)", text, flags=re.MULTILINE)
    group = typer.main.get_group(command.app).commands["run"]
    options = group.commands[stage].get_params(typer.Context(group.commands[stage]))  # type: ignore[attr-defined]
    assert sorted(listed) == sorted(option.opts[0] for option in options)
    assert [line for line in text.splitlines() if line in ("Data:", "Time:", "Machine:")] == [
        "Data:",
        "Time:",
        "Machine:",
    ]


def test_every_stage_has_the_options_of_data_time_and_machine() -> None:
    texts = [
        help_of("run", stage).partition("\nData:\n")[2]
        for stage in ("bayes", "paper", "grid-slicing", "final")
    ]
    of_search = {"--stop-when"}
    options = [set(re.findall(r"^  (--[a-z-]+)", text, flags=re.MULTILINE)) - of_search for text in texts]
    assert {"--data", "--skip-missing", "--hours", "--device"} <= options[0]
    assert options == [options[0]] * len(texts)


class Recorder:
    """Launch that keeps the options of a stage or of the procedure."""

    options: Mapping[str, Any]

    def run_stage(self, stage: str, options: Mapping[str, Any], *_: object) -> None:
        self.options = options

    def start_procedure(self, options: Mapping[str, Any], *_: object) -> None:
        self.options = options


def seeds_typed(monkeypatch: pytest.MonkeyPatch, stage: str, seeds: str) -> object:
    """Return the seeds that ``hpo run STAGE --seeds SEEDS`` asks for."""
    launch = Recorder()
    monkeypatch.setattr("hpo.cli.run.launch_of", lambda *_, **__: launch)
    monkeypatch.setattr("hpo.cli.run.show", lambda _: None)
    CliRunner().invoke(command.app, ["run", stage, "--seeds", seeds], catch_exceptions=False)
    return launch.options["seeds"]


@pytest.mark.parametrize("stage", ["final", "paper"])
def test_seeds_of_a_final_are_typed_as_in_the_study_file(monkeypatch: pytest.MonkeyPatch, stage: str) -> None:
    assert seeds_typed(monkeypatch, stage, "until decided") == "until decided"
    assert seeds_typed(monkeypatch, stage, "7") == 7
    for wrong in ("1", "many", "-2"):
        with pytest.raises(ConfigError, match='--seeds "until decided" or a whole number above 1, got'):
            seeds_typed(monkeypatch, stage, wrong)


@pytest.mark.parametrize("stage", ["bayes", "paper"])
def test_typed_trials_are_known_where_the_study_file_is_read(
    monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    requests = []

    def refuse(commands: object, typed: Options, **_: object) -> None:
        requests.append(typed.trials)
        raise ConfigError("no study")

    monkeypatch.setattr("hpo.api.options.launch_of", refuse)
    assert CliRunner().invoke(command.app, ["run", stage, "--trials", "3"]).exit_code != 0
    with pytest.raises(ConfigError):
        plan(stage, trials=4)
    assert requests == [3, 4]


@pytest.mark.parametrize("to", [None, Path("net.pt")])
def test_import_of_weights_replaces_no_file_of_the_user(
    to: Path | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "given").mkdir()
    source = write_keras(Path("given/net.h5"), small_network())
    for _ in range(2):  # the same file again
        import_weights(source, to)
    Path("net.pt").write_text("mine")
    with pytest.raises(StorageError, match=r"the file exists with other content.*\n.*net.pt\n.*--to FILE"):
        import_weights(source, to)
    assert Path("net.pt").read_text() == "mine"
