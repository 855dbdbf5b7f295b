"""The command line as a user types it, in processes of its own or, sooner, in this one."""

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import chdir, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from hpo.journal.events import Event, TrialFinished
from hpo.journal.journal import read_journal

STUDY_FILE = """
task = "calf"
[training]
epochs = 4
validate_every = 1
sampler = "balanced"
batch_size = 8
chunks_per_epoch = 24
precision = "float32"
[stages.bayes]
scheduler = "none"
trials = 4
[stages.bayes.space]
f = { type = "int", low = 2, high = 8 }
lambda_seg = { type = "float", low = 0.1, high = 10.0, log = true }
"""


@dataclass(frozen=True)
class CommandLine:
    """``hpo`` in a folder of its own."""

    folder: Path
    data: Path
    cache: Path
    variables: dict[str, str] = field(default_factory=dict)
    """Set beside those that are always set."""
    here: bool = False
    """Whether ``run`` calls the command in this process, which saves the start of Python and its packages."""

    @property
    def apart(self) -> Self:
        """The same, where every command is a process of its own."""
        return replace(self, here=False)

    def with_store(self, empty: Path) -> Self:
        """Put an MLflow store in place that has its tables: to make them takes longer than a small study."""
        (self.folder / "hpo-runs").mkdir(exist_ok=True)
        shutil.copyfile(empty, self.folder / "hpo-runs" / "mlflow.db")
        return self

    def run(self, *words: str, timeout_s: float = 240.0) -> subprocess.CompletedProcess[str]:
        """Run to the end."""
        if self.here:
            return run_here(words, self.folder, self._environment())
        return subprocess.run(
            self._command(words),
            cwd=self.folder,
            env=self._environment(),
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )

    def start(self, *words: str) -> "subprocess.Popen[bytes]":
        """Start in a process group of its own, output to ``output.txt``."""
        with (self.folder / "output.txt").open("wb") as output:
            return subprocess.Popen(
                self._command(words),
                cwd=self.folder,
                env=self._environment(),
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def study(self, name: str, *words: str) -> list[str]:
        """Words of a small study on the synthetic data."""
        study_file = self.folder / "small.toml"
        study_file.write_text(STUDY_FILE)
        options = ["--data", str(self.data), "--study", name, "--study-file", str(study_file), "--seed", "5"]
        return ["run", "bayes", *options, *words]

    def events(self, name: str) -> list[Event]:
        """What the journal of a study holds; nothing while there is none."""
        folder = self.folder / "hpo-runs" / "studies" / name
        return list(read_journal(folder).events) if (folder / "journal.jsonl").exists() else []

    def finished(self, name: str) -> Counter[str]:
        """How often each trial of a study has finished."""
        return Counter(event.trial for event in self.events(name) if isinstance(event, TrialFinished))

    def best(self, name: str) -> list[dict[str, Any]]:
        """All finished trials of a study."""
        answer = self.run("best", name, "--json", "--top", "99")
        assert answer.returncode == 0, answer.stderr
        trials: list[dict[str, Any]] = json.loads(answer.stdout)["best"]
        return trials

    def _command(self, words: tuple[str, ...]) -> list[str]:
        return [sys.executable, "-m", "hpo", *words]

    def _environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("HPO_", "MLFLOW_"))}
        return {**kept, "HPO_CACHE": str(self.cache), **self.variables}


_IGNORED = (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning)
"""What Python does not show of itself."""


def run_here(
    words: Sequence[str], folder: Path, variables: Mapping[str, str]
) -> "subprocess.CompletedProcess[str]":
    """Do in this process what the console script does, and leave the process as it was.

    Ray is started and stopped by the command, unless it runs here already.
    """
    import torch

    from hpo.cli.main import main

    output, errors = _pipe("strict"), _pipe("backslashreplace")
    before, threads, arguments = dict(os.environ), torch.get_num_threads(), sys.argv
    sys.argv = ["hpo", *words]
    _set_variables(variables)
    try:
        with chdir(folder), redirect_stdout(output), redirect_stderr(errors), warnings.catch_warnings():
            # A process of its own has Python's filters, not pytest's.
            warnings.resetwarnings()
            for kind in _IGNORED:
                warnings.simplefilter("ignore", kind)
            code = _exit_code(main)
    finally:
        sys.argv = arguments
        _set_variables(before)
        torch.set_num_threads(threads)
    return subprocess.CompletedProcess(["hpo", *words], code, _text(output), _text(errors))


def _exit_code(main: Callable[[], None]) -> int:
    """What the interpreter would end with; it prints an error that nobody caught."""
    try:
        main()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def _pipe(odd: str) -> io.TextIOWrapper:
    """What standard output or error is; ``odd`` is how Python writes there what is no text."""
    return io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors=odd, newline="", write_through=True)


def _text(pipe: io.TextIOWrapper) -> str:
    """What was written, as ``text=True`` gives it."""
    content = pipe.buffer
    assert isinstance(content, io.BytesIO)
    return content.getvalue().decode().replace("\r\n", "\n")


def _set_variables(variables: Mapping[str, str]) -> None:
    for name in set(os.environ) - set(variables):
        del os.environ[name]
    os.environ.update(variables)


def kill_group(process: "subprocess.Popen[bytes]", sign: int = signal.SIGKILL) -> None:
    """Send a signal to a process and all its children that stayed in its group."""
    os.killpg(process.pid, sign)
    process.wait(timeout=60)
