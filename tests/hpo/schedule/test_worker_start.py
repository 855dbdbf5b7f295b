"""Start of a worker: what Ray's program for workers gets, and what it finds set."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from hpo.schedule import worker_start

PROGRAM = """
import gc, json, os, sys
print(json.dumps([__name__, sys.argv, sys.path[0], os.environ.get("KIND"), gc.get_threshold()]))
"""


def start(program: Path, **context: object) -> "subprocess.CompletedProcess[str]":
    program.write_text(PROGRAM)
    words = [str(program), "--port=1", "--language=PYTHON"]
    words += [f"--serialized-runtime-env-context={json.dumps(context)}"] if context else []
    command = [sys.executable, worker_start.__file__, *words, "--token=2"]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("variables", [{}, {"KIND": "trial"}])
def test_worker_is_rays_program_with_its_own_arguments_and_variables(
    tmp_path: Path, variables: dict[str, str]
) -> None:
    program = tmp_path / "worker.py"
    done = start(program, env_vars=variables, command_prefix=[]) if variables else start(program)
    assert done.returncode == 0, done.stderr
    arguments = [str(program), "--port=1", "--token=2"]
    expected = ["__main__", arguments, str(tmp_path), variables.get("KIND"), list(worker_start.RARELY)]
    assert json.loads(done.stdout) == expected


def test_worker_has_the_options_of_python_that_its_study_was_started_with(tmp_path: Path) -> None:
    program = tmp_path / "worker.py"
    program.write_text("import sys; print(sys.flags.no_user_site, sys.flags.no_site, *sys.argv)")
    command = [
        sys.executable,
        worker_start.__file__,
        "-S",
        "-s",
        str(program),
        "--language=PYTHON",
        "--port=1",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["1", "1", str(program), "--port=1"], done.stderr


def test_worker_in_another_environment_than_variables_does_not_start(tmp_path: Path) -> None:
    done = start(tmp_path / "worker.py", command_prefix=["conda activate other &&"])
    assert done.returncode != 0
    assert "expected a runtime environment of variables only" in done.stderr
