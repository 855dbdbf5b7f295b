"""Has files fetched by a process of its own, and turns its failures into errors that a user can read."""

import http
import json
import os
import select
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any

from model.errors import DataError

RESUME_HINT = "type the same command again: it goes on where it stopped"
_POLL_S = 0.2
_REFUSED = (401, 403)
_HUB_SETTINGS = {
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_UPDATE_CHECK": "1",
}


class DownloadClient:
    """Fetches files into ``staging``, a folder that holds nothing but the last request's files.

    Args:
        folder: A folder of ours on the disk of the data; it must exist.
        drive: Address of the server that stands in for SoccerNet's own drive; None: the package's.
    """

    def __init__(self, folder: Path, *, drive: str | None) -> None:
        self.staging = (
            folder / "arrivals"
        )  # this name since the first release: a stopped download leaves files there
        self._cache = folder / "cache"
        self._drive = drive
        self._process: subprocess.Popen[bytes] | None = None

    def close(self) -> None:
        """Stop at once, even in the middle of a file."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()

    def fetch(
        self, *, games: Sequence[str], files: Sequence[str], split: str, waiting: Callable[[], None]
    ) -> None:
        """Fetch ``files`` of each game; afterwards those that the server has lie under ``staging``.

        Args:
            games: Paths of games of ``split``.
            files: Names of files, all labels or all features of one kind.
            split: The split of the games.
            waiting: Called several times a second.

        Raises:
            DataError: The server cannot be reached or refuses, or the disk is full.
        """
        # Empty, because huggingface_hub is content with what it finds there when the network is down.
        shutil.rmtree(self.staging, ignore_errors=True)
        message = {
            "folder": str(self.staging),
            "drive": self._drive,
            "games": list(games),
            "files": list(files),
            "split": split,
        }
        failure = self._send(message, waiting)
        if failure is not None:
            raise fetch_error(failure, f"{', '.join(files)} of {len(games)} games", self.staging)

    def _send(self, message: dict[str, Any], waiting: Callable[[], None]) -> dict[str, Any] | None:
        process = self._process = self._process or self._start()
        to_worker, from_worker = _pipes(process)
        try:
            to_worker.write(json.dumps(message).encode() + b"\n")
            to_worker.flush()
            while not select.select([from_worker], [], [], _POLL_S)[0]:
                waiting()
            line = from_worker.readline()
        except BrokenPipeError:
            line = b""
        if not line:
            ended = f"the process that downloads ended with exit code {process.wait()}"
            raise DataError(ended, fix=RESUME_HINT)
        failure: dict[str, Any] | None = json.loads(line)
        return failure

    def _start(self) -> "subprocess.Popen[bytes]":
        worker = Path(__file__).with_name("worker.py")
        # The caches go when the download ends: a user's own would only fill up with what is never read again.
        caches = {"HF_HUB_CACHE": str(self._cache / "hub"), "HF_XET_CACHE": str(self._cache / "xet")}
        return subprocess.Popen(
            # -P: the modules beside the worker must not stand in for others of the same name.
            [sys.executable, "-P", "-W", "ignore", str(worker)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **_HUB_SETTINGS, **caches},
            start_new_session=True,  # Ctrl-C is for us: we stop the worker
        )


def fetch_error(failure: dict[str, Any], expected: str, folder: Path) -> DataError:
    """What a user reads of a ``failure`` of the worker: what was expected, what came, what to do.

    Args:
        failure: See ``worker.failure``.
        expected: The files that were asked for.
        folder: A folder on the disk of the data, for the room that is left.
    """
    server, status = failure["server"], failure["status"]
    if failure["disk_full"]:
        free = shutil.disk_usage(folder.parent).free
        return DataError(
            f"the disk is full: expected room for {expected}, {free >> 20:,} MiB are free",
            fix=f"make room, then {RESUME_HINT}",
        )
    if status is None:
        return DataError(
            f"expected {expected} from {server}, came {failure['cause']}",
            fix=f"see that the network is up, then {RESUME_HINT}",
        )
    return DataError(f"expected {expected} from {server}, came {_status_text(status)}", fix=_fix(status))


def _pipes(process: "subprocess.Popen[bytes]") -> tuple[IO[bytes], IO[bytes]]:
    assert process.stdin is not None and process.stdout is not None
    return process.stdin, process.stdout


def _status_text(status: int) -> str:
    known = {entry.value: entry.phrase for entry in http.HTTPStatus}
    return f"HTTP {status} {known.get(status, '')}".rstrip()


def _fix(status: int) -> str:
    if status in _REFUSED:
        return (
            "ask for access on the data set's page there and log in (hf auth login), or wait "
            f"until it is open again; then {RESUME_HINT}"
        )
    if status == http.HTTPStatus.NOT_FOUND:
        return (
            f"a newer package may know where it is now (pip install --upgrade SoccerNet); then {RESUME_HINT}"
        )
    return f"wait a few minutes, then {RESUME_HINT}"
