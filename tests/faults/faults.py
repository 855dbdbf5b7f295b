"""The faults themselves: each breaks a running study, lets it end, and gives the account."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Self

from e2e.command_line import CommandLine
from e2e.processes import descendants, is_running
from faults.study import ARRAY, TRIAL, Account, StruckStudy, killed, struck
from service.processes import Process, answers, free_port, wait_for
from waiting import wait_until

HANGS_AFTER_S = 20
ENDS_WITHIN_S = 30
"""It takes about five seconds on quiet processors; Ray's own patience is twice as long as this."""


def trial_is_killed(hpo: CommandLine) -> Account:
    """kill -9 of the process that trains a trial."""
    with struck(hpo) as study:
        study.wait_for_reports(2, 2)
        [worker] = study.workers()
        study.strike()
        os.kill(worker, signal.SIGKILL)
        assert study.end() == 0, study.output()
        return study.account()


def trial_hangs(hpo: CommandLine, *words: str, kind: str = TRIAL) -> Account:
    """A process that trains stands still, once."""
    with struck(hpo, *words, training=f"hangs_after_s = {HANGS_AFTER_S}") as study:
        study.wait_for_reports(2, 1)
        study.strike()
        for worker in study.workers(kind):
            os.kill(worker, signal.SIGSTOP)
        assert study.end() == 0, study.output()
        return study.account()


def driver_is_killed(hpo: CommandLine) -> Account:
    """kill -9 of the driver alone; resumed at once, while its processes may still live."""
    with struck(hpo) as study:
        study.wait_for_reports(2, 2)
        orphans = study.workers()
        study.strike()
        os.kill(study.process.pid, signal.SIGKILL)
        study.end()
        _go_on(study, apart=True)
        wait_until(lambda: not any(Path(f"/proc/{orphan}").exists() for orphan in orphans), timeout_s=10)
        return study.account()


def group_is_killed(hpo: CommandLine) -> Account:
    """kill -9 of the driver and all that it started."""
    study = killed(hpo)
    _go_on(study, apart=True)
    return study.account()


def driver_is_terminated(hpo: CommandLine) -> Account:
    """SIGTERM of the driver."""
    with struck(hpo) as study:
        study.wait_for_reports(2, 2)
        study.strike()
        os.kill(study.process.pid, signal.SIGTERM)
        assert study.end() == 130, study.output()
        assert "hpo resume struck" in study.output()
        assert "Traceback" not in study.output()
        _go_on(study)
        return study.account()


def group_is_terminated(hpo: CommandLine) -> Account:
    """SIGTERM as ``timeout`` sends it: to the driver, then to its whole process group."""
    return _stopped_by(hpo, signal.SIGTERM)


def group_is_interrupted(hpo: CommandLine) -> Account:
    """SIGINT as ``timeout --signal INT`` sends it; Ctrl-C sends the second one only."""
    return _stopped_by(hpo, signal.SIGINT)


def terminal_is_closed(hpo: CommandLine) -> Account:
    """SIGHUP of the process group."""
    return _stopped_by(hpo, signal.SIGHUP)


def raylet_is_killed(hpo: CommandLine) -> Account:
    """kill -9 of Ray's process that starts all others."""
    return _without(hpo, "raylet")


def gcs_is_killed(hpo: CommandLine) -> Account:
    """kill -9 of Ray's process that knows of all others."""
    return _without(hpo, "gcs_server")


def journal_line_is_cut(hpo: CommandLine) -> Account:
    """A power cut in the middle of a line of the journal."""
    study = killed(hpo)
    with study.journal.open("ab") as journal:
        journal.write(b'{"event": "trial-reported", "at": "2026-11')
    _go_on(study)
    return study.account()


def checkpoint_is_cut(hpo: CommandLine) -> Account:
    """The newest checkpoint of a running trial is damaged on the disk."""
    study = killed(hpo)
    checkpoint = study.trial_folder(2) / "checkpoint.pt"
    os.truncate(checkpoint, checkpoint.stat().st_size // 2)
    _go_on(study)
    return study.account()


def all_checkpoints_are_damaged(hpo: CommandLine) -> Account:
    """No checkpoint of a running trial can be read; a byte is enough."""
    study = killed(hpo)
    for checkpoint in study.trial_folder(2).glob("checkpoint*.pt"):
        content = bytearray(checkpoint.read_bytes())
        content[len(content) // 2] ^= 1
        checkpoint.write_bytes(content)
    _go_on(study)
    return study.account()


def folders_are_moved(hpo: CommandLine) -> Account:
    """After a kill, the folder of studies and the data get other places."""
    study = killed(hpo)
    there = hpo.folder / "moved folder"
    there.mkdir()
    (hpo.folder / "hpo-runs").rename(there / "hpo-runs")
    shutil.copytree(hpo.data, there / "games")
    study.hpo = replace(hpo, folder=there)
    _go_on(study, "--data", str(there / "games"))
    assert not (hpo.folder / "hpo-runs").exists()
    return study.account()


def disk_is_full(hpo: CommandLine) -> Account:
    """The disk of the studies fills up, and is freed again."""
    runs = hpo.folder / "hpo-runs"
    with small_disk(runs), struck(hpo) as study:
        study.wait_for_reports(2, 2)
        study.strike()
        fill(runs / "ballast")
        assert study.end() == 2, study.output()
        _says_once_what_to_do(study.output())
        still_full = study.resume()
        assert still_full.returncode == 2, still_full.stderr
        _says_once_what_to_do(still_full.stderr)
        (runs / "ballast").unlink()
        _go_on(study)
        return study.account()


def array_hangs(hpo: CommandLine) -> Account:
    """A process that trains two trials stands still, once."""
    return trial_hangs(hpo, "--concurrent", "2", "--array", "2", kind=ARRAY)


def mlflow_is_away_for_a_while(hpo: CommandLine) -> Account:
    """The server of MLflow is killed during a study, and comes back before its end."""
    with MlflowServer(hpo.folder) as server:
        server.start()
        with struck(replace(hpo, variables={"MLFLOW_TRACKING_URI": server.address})) as study:
            study.wait_for_reports(1, 1)
            study.strike()
            server.kill()
            study.wait_for_reports(2, 2)
            server.start()
            assert study.end() == 0, study.output()
            assert "missing in MLflow" not in study.output()
            return study.account(server.address)


def mlflow_is_away_all_along(hpo: CommandLine) -> Account:
    """No server of MLflow answers during a whole study; then it does, and hpo sync is typed."""
    with MlflowServer(hpo.folder) as server:
        here = replace(hpo, variables={"MLFLOW_TRACKING_URI": server.address})
        with struck(here) as study:
            study.strike()
            assert study.end(180) == 0, study.output()
            assert "hpo sync struck" in study.output()
            server.start()
            synced = here.run("sync", "struck")
            assert synced.returncode == 0, synced.stderr
            return study.account(server.address)


class CannotMountError(Exception):
    """This machine does not let these tests have a disk of their own."""


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """A small disk in memory at ``folder``."""
    folder.mkdir(exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(folder)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise CannotMountError(done.stderr.strip())
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


class MlflowServer:
    """A server of MLflow on an SQLite file, that can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._port = folder / "server", free_port()
        self._folder.mkdir()
        self._process: Process | None = None

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        words = ["--backend-store-uri", f"sqlite:///{self._folder / 'mlflow.db'}", "--workers", "1"]
        words += ["--artifacts-destination", str(self._folder / "artifacts"), "--port", str(self._port)]
        variables = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
        process = Process(
            "mlflow", [sys.executable, "-m", "mlflow", "server", *words], variables, self._folder
        )
        self._process = process
        wait_for("MLflow", lambda: answers(f"{self.address}/health") is not None, [process])

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.stop()


def fill(ballast: Path) -> None:
    """Take all room on a disk."""
    with ballast.open("wb", buffering=0) as file:
        try:
            for size in (1 << 16, 1):
                while True:
                    file.write(bytes(size))
        except OSError:
            pass


def _stopped_by(hpo: CommandLine, number: signal.Signals) -> Account:
    """Send a signal to the driver and to its group, and resume what it leaves."""
    with struck(hpo) as study:
        study.wait_for_reports(2, 2)
        mine = descendants(study.process.pid)
        study.strike()
        os.kill(study.process.pid, number)
        os.killpg(study.process.pid, number)
        assert study.end(ENDS_WITHIN_S) == 130, study.output()
        assert "stopped; resume with: hpo resume struck" in study.output()
        assert "Traceback" not in study.output() and "core_worker" not in study.output()
        wait_until(lambda: not any(map(is_running, mine)), timeout_s=10)
        _go_on(study)
        return study.account()


def _without(hpo: CommandLine, kind: str) -> Account:
    """Kill one of Ray's own processes: the study ends with one error, and is resumed."""
    with struck(hpo) as study:
        study.wait_for_reports(2, 2)
        study.strike()
        os.kill(study.process_of_ray(kind), signal.SIGKILL)
        assert study.end(ENDS_WITHIN_S) == 2, study.output()
        assert study.output().count("error:") == 1, study.output()
        assert f"Ray's process {kind} died" in study.output() and "hpo resume struck" in study.output()
        log = Path(study.output().partition("log:")[2].split()[0])
        assert log.is_file(), study.output()
        assert "Traceback" not in study.output(), study.output()
        _go_on(study, apart=True)
        return study.account()


def _says_once_what_to_do(output: str) -> None:
    assert output.count("error:") == 1, output
    assert "No space left on device" in output and "hpo resume struck" in output, output
    assert "Traceback" not in output, output


def _go_on(study: StruckStudy, *words: str, apart: bool = False) -> None:
    resumed = study.resume(*words, apart=apart)
    assert resumed.returncode == 0, resumed.stderr


RUNNING: dict[str, Callable[[CommandLine], Account]] = {
    "kill -9 of a trial's process": trial_is_killed,
    "an array of two trials hangs": array_hangs,
    "kill -9 of the driver alone": driver_is_killed,
    "MLflow's server away for a while": mlflow_is_away_for_a_while,
    "a trial hangs": trial_hangs,
    "MLflow's server away to the end, then hpo sync": mlflow_is_away_all_along,
}
"""Faults that a study outlives, or that nobody but its driver sees."""
RESUMED: dict[str, Callable[[CommandLine], Account]] = {
    "kill -9 of all processes": group_is_killed,
    "SIGTERM of the driver": driver_is_terminated,
    "SIGTERM of the process group": group_is_terminated,
    "SIGINT of the process group": group_is_interrupted,
    "SIGHUP of the process group": terminal_is_closed,
    "kill -9 of the raylet": raylet_is_killed,
    "kill -9 of the GCS": gcs_is_killed,
    "a line of the journal cut": journal_line_is_cut,
    "the newest checkpoint cut": checkpoint_is_cut,
    "all checkpoints of a trial damaged": all_checkpoints_are_damaged,
    "disk full, then freed": disk_is_full,
    "a moved folder": folders_are_moved,
}
"""Faults that end a study; it is resumed."""
FAULTS = {**RUNNING, **RESUMED}
