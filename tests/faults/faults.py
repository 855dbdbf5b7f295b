"""The faults themselves: each breaks a running study, lets it end, and gives the account."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

from e2e.command_line import CommandLine, wait_until
from faults.study import TRIAL, Account, StruckStudy, struck

HANGS_AFTER_S = 20


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
        _go_on(study)
        wait_until(lambda: not any(Path(f"/proc/{orphan}").exists() for orphan in orphans), timeout_s=10)
        return study.account()


def group_is_killed(hpo: CommandLine) -> Account:
    """kill -9 of the driver and all that it started."""
    with struck(hpo) as study:
        study.wait_for_reports(2, 2)
        study.strike()
        study.kill()
        _go_on(study)
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


def journal_line_is_cut(hpo: CommandLine) -> Account:
    """A power cut in the middle of a line of the journal."""
    with struck(hpo) as study:
        study.wait_for_reports(2, 2)
        study.kill()
        study.strike()
        with study.journal.open("ab") as journal:
            journal.write(b'{"event": "trial-reported", "at": "2026-11')
        _go_on(study)
        return study.account()


def checkpoint_is_cut(hpo: CommandLine) -> Account:
    """The newest checkpoint of a running trial is damaged on the disk."""
    with struck(hpo) as study:
        study.wait_for_reports(2, 2)
        study.kill()
        study.strike()
        checkpoint = study.trial_folder(2) / "checkpoint.pt"
        os.truncate(checkpoint, checkpoint.stat().st_size // 2)
        _go_on(study)
        return study.account()


def all_checkpoints_are_damaged(hpo: CommandLine) -> Account:
    """No checkpoint of a running trial can be read; a byte is enough."""
    with struck(hpo) as study:
        study.wait_for_reports(2, 2)
        study.kill()
        study.strike()
        for checkpoint in study.trial_folder(2).glob("checkpoint*.pt"):
            content = bytearray(checkpoint.read_bytes())
            content[len(content) // 2] ^= 1
            checkpoint.write_bytes(content)
        _go_on(study)
        return study.account()


def disk_is_full(hpo: CommandLine, runs: Path) -> Account:
    """The disk of ``runs``, where the study lies, fills up and is freed again."""
    with struck(hpo) as study:
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


def fill(ballast: Path) -> None:
    """Take all room on a disk."""
    with ballast.open("wb", buffering=0) as file:
        try:
            for size in (1 << 16, 1):
                while True:
                    file.write(bytes(size))
        except OSError:
            pass


def _says_once_what_to_do(output: str) -> None:
    assert output.count("error:") == 1, output
    assert "No space left on device" in output and "hpo resume struck" in output, output
    assert "Traceback" not in output, output


def _go_on(study: StruckStudy) -> None:
    resumed = study.resume()
    assert resumed.returncode == 0, resumed.stderr


ON_ANY_DISK: dict[str, Callable[[CommandLine], Account]] = {
    "kill -9 of a trial's process": trial_is_killed,
    "kill -9 of the driver alone": driver_is_killed,
    "kill -9 of all processes": group_is_killed,
    "SIGTERM of the driver": driver_is_terminated,
    "a trial hangs": trial_hangs,
    "a line of the journal cut": journal_line_is_cut,
    "the newest checkpoint cut": checkpoint_is_cut,
    "all checkpoints of a trial damaged": all_checkpoints_are_damaged,
}
