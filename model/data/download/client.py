"""Client that downloads files in a worker process and turns its failures into readable errors."""

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

RESUME_HINT = "run the same command again: it resumes where it stopped"
_POLL_S = 0.2
_REFUSED = (401, 403)
_HUB_SETTINGS = {
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_UPDATE_CHECK": "1",
}


class DownloadClient:
    """Client of one worker process, which downloads into ``staging``; this folder keeps the last files only.

    Args:
        folder: An existing working folder on the disk of the data.
        drive: Address of a server to use instead of SoccerNet's own drive; None: the package's default.
    """

    def __init__(self, folder: Path, *, drive: str | None) -> None:
        # The name stays that of the first release: a stopped download leaves files there.
        self.staging = folder / "arrivals"
        self._cache = folder / "cache"
        self._drive = drive
        self._process: subprocess.Popen[bytes] | None = None

    def close(self) -> None:
        """Stop the worker at once, even in the middle of a file."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()

    def fetch(
        self, *, games: Sequence[str], files: Sequence[str], split: str, waiting: Callable[[], None]
    ) -> None:
        """Download ``files`` of each game to ``staging``; files that the server does not have stay missing.

        Args:
            games: Paths of games of ``split``.
            files: Names of files, either all labels or all features of one kind.
            split: The split of the games.
            waiting: Called several times per second during the download.

        Raises:
            DataError: The server cannot be reached or refuses the request, or the disk is full.
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
            ended = f"the download process ended with exit code {process.wait()}"
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
    """Build the error for a ``failure`` of the worker: what was expected, what was received, what to do.

    Args:
        failure: Result of ``worker.failure``.
        expected: Description of the requested files.
        folder: A folder on the disk of the data, to report the free space.
    """
    server, status = failure["server"], failure["status"]
    if failure["disk_full"]:
        free = shutil.disk_usage(folder.parent).free
        return DataError(
            f"the disk is full: expected space for {expected}, {free >> 20:,} MiB are free",
            fix=f"free some space, then {RESUME_HINT}",
        )
    if status is None:
        return DataError(
            f"expected {expected} from {server}, got {failure['cause']}",
            fix=f"check the network connection, then {RESUME_HINT}",
        )
    return DataError(f"expected {expected} from {server}, got {_status_text(status)}", fix=_fix(status))


def _pipes(process: "subprocess.Popen[bytes]") -> tuple[IO[bytes], IO[bytes]]:
    assert process.stdin is not None and process.stdout is not None
    return process.stdin, process.stdout


def _status_text(status: int) -> str:
    known = {entry.value: entry.phrase for entry in http.HTTPStatus}
    return f"HTTP {status} {known.get(status, '')}".rstrip()


def _fix(status: int) -> str:
    if status in _REFUSED:
        return (
            "request access on the data set's page on this server and log in (hf auth login), or wait "
            f"until it is available again; then {RESUME_HINT}"
        )
    if status == http.HTTPStatus.NOT_FOUND:
        return (
            "a newer SoccerNet package may know the new address (pip install --upgrade SoccerNet); "
            f"then {RESUME_HINT}"
        )
    return f"wait a few minutes, then {RESUME_HINT}"
