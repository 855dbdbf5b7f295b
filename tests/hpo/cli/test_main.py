"""Errors of the machine are one line, like those of the user."""

import errno
import sys

import pytest

from hpo.cli import main as command


def run(monkeypatch: pytest.MonkeyPatch, error: Exception) -> int:
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


def test_a_folder_that_cannot_be_written_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    error = OSError(errno.EROFS, "Read-only file system", "/runs/studies")
    assert run(monkeypatch, error) == 2
    assert capsys.readouterr().err == "error: Read-only file system: /runs/studies\n"


def test_a_fault_of_the_program_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FileNotFoundError):
        run(monkeypatch, FileNotFoundError(errno.ENOENT, "No such file", "/runs/studies"))


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
