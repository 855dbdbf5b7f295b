"""The tutorials, typed as they stand in the pages."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from documentation.pages import NOT_RUN, PAGES, ROOT, blocks

TUTORIALS = [page for page in PAGES if page.parent.name == "tutorials"]
LIMIT_S = 900
SHORTER = {
    "hpo run bayes\n": "hpo run bayes --epochs 4 --trials 2 --games 2,1\n",
    "hpo run bayes --study synthetic --trials 10\n": "hpo run bayes --study synthetic --trials 3\n",
}
"""Commands of the pages that are typed with other sizes: the demo then trains few trials on few games, each
to its first validation only."""


def script(page: Path, folder: Path) -> str:
    """Write the files of a tutorial into ``folder``, and return its commands as one script.

    They stand as in the page but for those in ``SHORTER``.
    """
    for block in blocks(page, "python", "toml"):
        if block.file:
            (folder / block.file).write_text(block.text)
        elif "[classes]" in block.text:
            (folder / "handball").mkdir()
            (folder / "handball" / "dataset.toml").write_text(block.text)
    typed = [block.text for block in blocks(page, "sh") if not block.note.startswith(NOT_RUN)]
    return "".join(SHORTER.get(line, line) for text in typed for line in text.splitlines(keepends=True))


def test_there_are_three_tutorials() -> None:
    assert {page.stem for page in TUTORIALS} >= {"first-study", "own-sport", "own-task"}


@pytest.mark.slow
@pytest.mark.parametrize("page", TUTORIALS, ids=lambda page: page.stem)
def test_tutorial_runs_from_its_first_command_to_its_last(page: Path, tmp_path: Path) -> None:
    commands = script(page, tmp_path)
    assert "hpo run bayes" in commands
    # Commands as after an installation: hpo and python of this environment come first.
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, call in {"hpo": f"{sys.executable} -m hpo", "python": sys.executable}.items():
        (programs / name).write_text(f'#!/bin/sh\nexport PYTHONPATH="{ROOT}:$PYTHONPATH"\nexec {call} "$@"\n')
        (programs / name).chmod(0o755)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HPO_", "MLFLOW_"))}
    variables = {**kept, "PATH": f"{programs}:{kept['PATH']}", "HPO_CACHE": str(tmp_path / "cache")}
    ran = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands],
        cwd=tmp_path,
        env=variables,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert ran.returncode == 0, f"{ran.stdout[-3000:]}\n{ran.stderr[-3000:]}"
