"""Worker process that calls the SoccerNet package; ``client`` starts it and they exchange lines of JSON.

The separate process isolates the package's output, progress bars, warnings and environment variables, and
can be stopped in the middle of a file. It runs as a script and imports nothing of this project.
"""

import base64
import contextlib
import errno
import http.client
import json
import os
import queue
import shutil
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_TIMEOUT_S = 60.0
_PAUSES_S = (1.0, 3.0)
"""Before the second and third try of a file."""
_ABSENT = (404, 410)
_OUT_OF_SPACE = (errno.ENOSPC, errno.EDQUOT)


def main() -> None:
    """Answer requests from standard input until it ends."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    for request in _requests():
        print(json.dumps(answer(request)), file=answers, flush=True)


def answer(request: dict[str, Any]) -> dict[str, Any] | None:
    """Download the files of ``request``; return None, or the failure that stopped the download.

    A file that the server does not have is not a failure; it is missing afterwards.
    """
    server = "the SoccerNet package"
    try:
        downloader = _downloader(request["folder"], request["drive"])
        if _is_on_hub(downloader, request["files"]):
            server = _hub_address()
            _fetch_from_hub(downloader, request["games"], request["files"], request["split"])
        else:
            server = str(downloader.OwnCloudServer)
            _fetch_from_drive(downloader, request["games"], request["files"], request["split"])
    except Exception as error:  # whatever it is, the user wants to read it in one line
        return failure(error, server)
    return None


def failure(error: BaseException, server: str) -> dict[str, Any]:
    """Summarise an exception and its causes: HTTP status, full disk, and the first cause."""
    chain = list(_chain(error))
    return {
        "server": server,
        "status": next(filter(None, map(_status, chain)), None),
        "disk_full": any(isinstance(link, OSError) and link.errno in _OUT_OF_SPACE for link in chain),
        "cause": f"{type(chain[-1]).__name__}: {chain[-1]}".splitlines()[0],
    }


def fetch_file(
    path_local: str,
    path_owncloud: str,
    user: str | None = None,
    password: str | None = None,
    verbose: bool = True,
) -> int:
    """Replace the package's ``downloadFile``: return 0 for a downloaded file, 1 if the server has none.

    The package's own function reports each file to Google Analytics, leaves a partial file when it is
    killed, has no time limit, and hides the reason of a failure.
    """
    for pause_s in (*_PAUSES_S, None):
        try:
            _stream(path_owncloud, Path(path_local), f"{user}:{password}")
            return 0
        except (OSError, http.client.HTTPException) as error:
            if _status(error) in _ABSENT:
                return 1
            if pause_s is None or not _may_pass(error):
                raise
            time.sleep(pause_s)
    return 1


def _requests() -> Iterator[dict[str, Any]]:
    lines: queue.SimpleQueue[str] = queue.SimpleQueue()

    def read() -> None:
        for line in sys.stdin:
            lines.put(line)
        os._exit(0)  # the one who asked is gone, perhaps killed: stop in the middle of whatever runs

    threading.Thread(target=read, daemon=True).start()
    while True:
        yield json.loads(lines.get())


def _downloader(folder: str, drive: str | None) -> Any:
    from SoccerNet.Downloader import SoccerNetDownloader

    return SoccerNetDownloader(folder, drive) if drive else SoccerNetDownloader(folder)


def _is_on_hub(downloader: Any, files: list[str]) -> bool:
    """Whether this version of the package fetches ``files`` from Hugging Face."""
    # Not public, but the package has no other way to ask, and it moves more files with every version.
    features = getattr(downloader, "_HF_FEATURE_BRANCH_BY_FILE", files)
    labels = getattr(downloader, "_HF_LABEL_FILES", files)
    return all(file in features or file in labels for file in files)


def _hub_address() -> str:
    from huggingface_hub import constants

    return str(constants.ENDPOINT)


def _fetch_from_hub(downloader: Any, games: list[str], files: list[str], split: str) -> None:
    # Each call lists the whole repository, page by page, so one for each game would run into the limit on
    # requests. The public downloadGames knows whole splits only: no checks on the way, nothing left out.
    several = getattr(downloader, "_downloadGames_huggingface", None)
    if several is not None:
        several(games, files, split)
        return
    for game in games:
        downloader.downloadGame(game, files=files, spl=split, verbose=False)


def _fetch_from_drive(downloader: Any, games: list[str], files: list[str], split: str) -> None:
    downloader.downloadFile = fetch_file
    for game in games:
        downloader.downloadGame(game, files=files, spl=split, verbose=False, source="EXRCSDrive")


def _stream(address: str, file: Path, credentials: str) -> None:
    token = base64.b64encode(credentials.encode()).decode()
    request = urllib.request.Request(
        urllib.parse.quote(address, safe=":/%"), headers={"Authorization": f"Basic {token}"}
    )
    part = file.with_name(f"{file.name}.part")
    with contextlib.ExitStack() as stack:
        reply = stack.enter_context(urllib.request.urlopen(request, timeout=_TIMEOUT_S))
        stream = stack.enter_context(part.open("wb"))
        shutil.copyfileobj(reply, stream)
        expected = reply.headers.get("Content-Length")
        if expected is not None and stream.tell() != int(expected):
            raise ConnectionError(f"the connection ended after {stream.tell():,} of {int(expected):,} bytes")
    part.replace(file)


def _may_pass(error: Exception) -> bool:
    status = _status(error)
    if status is not None:
        return status == http.client.TOO_MANY_REQUESTS or status >= http.client.INTERNAL_SERVER_ERROR
    return getattr(error, "errno", None) not in _OUT_OF_SPACE


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _status(error: BaseException) -> int | None:
    if isinstance(error, urllib.error.HTTPError):
        return error.code
    status = getattr(getattr(error, "response", None), "status_code", None)
    return status if isinstance(status, int) else None


if __name__ == "__main__":
    main()
