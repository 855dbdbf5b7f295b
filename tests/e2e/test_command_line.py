"""A command that is called in the process of the tests does what one does that is a process of its own."""

import os
import re
from pathlib import Path

import pytest
from e2e.command_line import CommandLine, run_here


def said(text: str) -> str:
    """Without what the program is called: Python's own way to run a module is in a usage."""
    return re.sub(r"python -m \S+", "hpo", text)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ((), 2),
        (("--version",), 0),
        (("run", "--help"), 0),
        (("status", "nothing"), 2),
        (("best", "--top", "0"), 2),
        (("data", "check", "."), 2),
    ],
)
def test_call_gives_what_a_process_gives(hpo: CommandLine, words: tuple[str, ...], code: int) -> None:
    called, ran = hpo.run(*words), hpo.apart.run(*words)
    assert called.returncode == ran.returncode == code
    assert said(called.stdout) == said(ran.stdout)
    assert said(called.stderr) == said(ran.stderr)
    assert ran.stdout + ran.stderr


def test_answers_and_remarks_stay_apart_in_both(hpo: CommandLine) -> None:
    for line in (hpo, hpo.apart):
        done = line.run("--version")
        assert done.stdout and not done.stderr
        refused = line.run("status", "nothing")
        assert refused.stderr.startswith("error: ") and not refused.stdout


def test_call_leaves_the_process_as_it_was(tmp_path: Path) -> None:
    before = dict(os.environ), Path.cwd()
    refused = run_here(["status", "nothing"], tmp_path, {"HPO_RUNS": "elsewhere", "PATH": os.environ["PATH"]})
    assert refused.returncode == 2
    assert (dict(os.environ), Path.cwd()) == before


def test_error_that_nobody_catches_ends_a_call_as_it_ends_a_process(
    hpo: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("no such thing")

    monkeypatch.setattr("hpo.config.environment.read_environment", fail)
    broken = hpo.run("status", "nothing")
    assert broken.returncode == 1
    assert "Traceback" in broken.stderr and "RuntimeError: no such thing" in broken.stderr
