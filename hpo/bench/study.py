"""Check of a whole study: eight trials at a time, killed in the middle and resumed."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from hpo.bench.line import Line, judged
from hpo.bench.setting import FEATURES, Setting
from hpo.journal.events import Event, TrialFailed, TrialFinished, TrialReported
from hpo.journal.journal import read_journal

TRIALS = 8
NAME = "study killed and resumed"
HPO = (sys.executable, "-m", "hpo")
_STUDY = "check"
_STUDY_FILE = """\
task = "calf"
[training]
epochs = 6
validate_every = 1
sampler = "balanced"
batch_size = 8
chunks_per_epoch = 16
precision = "float32"
[stages.bayes]
searcher = "random"
scheduler = "none"
trials = {trials}
concurrent = {trials}
array = {trials}
[stages.bayes.space]
f = {{ type = "int", low = 4, high = 16 }}
lambda_seg = {{ type = "float", low = 0.1, high = 10.0, log = true }}
"""
_POLL_S = 0.05
_LAST_LINES = 3
"""Number of lines of a command's output that a line repeats."""


@dataclass(frozen=True, slots=True)
class KilledStudy:
    """A study in a folder of its own, whose processes were killed."""

    folder: Path
    command: Sequence[str]
    """Command line of ``hpo``."""

    @property
    def events(self) -> list[Event]:
        """Events in the journal; none while there is no journal."""
        folder = self.folder / "hpo-runs" / "studies" / _STUDY
        return list(read_journal(folder).events) if (folder / "journal.jsonl").exists() else []

    def start(self, *words: str) -> "subprocess.Popen[bytes]":
        """Start a command of ``hpo`` in a process group of its own."""
        with (self.folder / "output.txt").open("ab") as output:
            return subprocess.Popen(
                [*self.command, *words],
                cwd=self.folder,
                env=_environment(),
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    @property
    def last_words(self) -> str:
        """Last lines that the commands have printed."""
        lines = filter(str.strip, (self.folder / "output.txt").read_text().splitlines())
        return " | ".join(map(str.strip, list(lines)[-_LAST_LINES:]))


def check_killed_study(setting: Setting, command: Sequence[str] = HPO) -> Iterator[Line]:
    """Run a study, kill -9 its process as soon as every trial was validated, resume it, read its journal."""
    folder = setting.folder / "study"
    folder.mkdir()
    (folder / "check.toml").write_text(_STUDY_FILE.format(trials=TRIALS))
    study = KilledStudy(folder, command)
    data = ["--data", str(setting.games), "--features", FEATURES, "--study-file", "check.toml"]
    process = study.start("run", "bayes", "--study", _STUDY, "--device", setting.device.type, *data)
    try:
        _wait_for_reports(study, process)
    finally:
        _kill(process)
    before = study.events
    if process.returncode != -signal.SIGKILL:
        yield judged(NAME, False, f"the study ended too early: {study.last_words}")
        return
    started = time.monotonic()
    process = study.start("resume", _STUDY)
    try:
        code = process.wait(timeout=setting.left_s)
    finally:
        _kill(process)
    if code:
        yield judged(NAME, False, f"the resumed study ended with exit code {code}: {study.last_words}")
        return
    yield resumed_line(before, study.events, time.monotonic() - started)


def resumed_line(before: Sequence[Event], events: Sequence[Event], resumed_s: float) -> Line:
    """Judge the journal of a resumed study, given its events before the kill."""
    reported = Counter((event.trial, event.epoch) for event in events if isinstance(event, TrialReported))
    finished = Counter(event.trial for event in events if isinstance(event, TrialFinished))
    twice = sum(count > 1 for count in (*reported.values(), *finished.values()))
    failed = [event.reason for event in events if isinstance(event, TrialFailed)]
    lost = list(events[: len(before)]) != list(before)
    figures = (
        f"{TRIALS} trials at a time, killed after {sum(isinstance(e, TrialReported) for e in before)} "
        f"validations; {len(finished)} finished, {len(failed)} failed, {twice} results repeated, "
        f"{resumed_s:.0f} s after the resume"
    )
    if failed:
        figures += f"; {failed[0]}"
    if lost:
        figures += "; events of the journal were lost"
    return judged(NAME, len(finished) == TRIALS and not (failed or twice or lost), figures)


def _wait_for_reports(study: KilledStudy, process: "subprocess.Popen[bytes]") -> None:
    """Wait until every trial has been validated once, or the process has ended."""
    while process.poll() is None:
        if len({event.trial for event in study.events if isinstance(event, TrialReported)}) == TRIALS:
            return
        time.sleep(_POLL_S)


def _kill(process: "subprocess.Popen[bytes]") -> None:
    """Kill a process and those of its group, if it still runs."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _environment() -> dict[str, str]:
    """Return variables that let the study run on this machine, and write into its own folder."""
    own = ("HPO_", "MLFLOW_", "RAY_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(own)}
    return {**kept, "HPO_CACHE": "cache"}
