"""The command line as a user types it, in processes of its own."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from hpo.journal.events import Event
from hpo.journal.journal import read_journal

STUDY_FILE = """
task = "calf"
[training]
epochs = 4
validate_every = 1
sampler = "balanced"
batch_size = 8
chunks_per_epoch = 48
precision = "float32"
[stages.bayes]
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

    def with_store(self, empty: Path) -> Self:
        """Put an MLflow store in place that has its tables: to make them takes longer than a small study."""
        (self.folder / "hpo-runs").mkdir(exist_ok=True)
        shutil.copyfile(empty, self.folder / "hpo-runs" / "mlflow.db")
        return self

    def run(self, *words: str, timeout_s: float = 240.0) -> subprocess.CompletedProcess[str]:
        """Run to the end."""
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


def wait_until(condition: Callable[[], bool], *, timeout_s: float = 120.0) -> None:
    """Poll until ``condition`` holds."""
    stop = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < stop, "waited in vain"
        time.sleep(0.05)


def kill_group(process: "subprocess.Popen[bytes]", sign: int = signal.SIGKILL) -> None:
    """Send a signal to a process and all its children that stayed in its group."""
    os.killpg(process.pid, sign)
    process.wait(timeout=60)
