"""A small server in the place of the two that the SoccerNet package asks: Hugging Face and its drive."""

import hashlib
import io
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.parse import unquote, urlsplit

import numpy as np
import numpy.typing as npt

COMMIT = "c" * 40
FRAMES = 240


def npy(array: npt.NDArray[Any]) -> bytes:
    content = io.BytesIO()
    np.save(content, array)
    return content.getvalue()


def labels(*annotations: Mapping[str, str]) -> bytes:
    return json.dumps({"annotations": annotations}).encode()


def v1_labels(*, last: str = "2 - 01:30") -> bytes:
    names = {"1 - 00:10": "soccer-ball", "1 - 00:30": "y-card", last: "substitution-in"}
    return labels(*({"gameTime": at, "label": name} for at, name in names.items()))


class SoccerNetServer:
    """Files by path, what goes wrong with them, and what was asked for."""

    def __init__(self, port: int) -> None:
        self.address = f"http://127.0.0.1:{port}"
        self.drive = f"{self.address}/drive/"
        self.files: dict[str, bytes] = {}
        """Path below a repository or the drive -> content."""
        self.refuse: dict[str, int] = {}
        """Part of a request's path -> HTTP status."""
        self.broken: Counter[str] = Counter()
        """Path of a file -> how many times to break off in the middle of it."""
        self.slow_s = 0.0
        """Pause in the middle of every file on the drive."""
        self.sent: Counter[str] = Counter()
        """Path of a file -> how many times it was sent whole."""
        self.listings = 0
        """How many times a repository was listed."""

    def add_game(
        self, game: str, *, stem: str = "ResNET_PCA512", dims: int = 512, frames: int = FRAMES
    ) -> None:
        rng = np.random.default_rng(len(self.files))
        for half in (1, 2):
            features = rng.normal(size=(frames, dims)).astype(np.float32)
            self.files[f"{game}/{half}_{stem}.npy"] = npy(features)
        self.files[f"{game}/Labels.json"] = v1_labels()
        self.files[f"{game}/Labels-v2.json"] = labels({"gameTime": "1 - 00:10", "label": "Goal"})


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_state: ClassVar[SoccerNetServer]

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def _answer(self, *, with_body: bool) -> None:
        path = unquote(urlsplit(self.path).path)
        for part, status in self.server_state.refuse.items():
            if part in path:
                return self._send(b"", status=status)
        if path.startswith("/api/"):
            return self._list(path)
        name = path.split(f"/resolve/{COMMIT}/" if "/resolve/" in path else "/drive/", 1)[-1]
        content = self.server_state.files.get(name)
        if content is None:
            return self._send(b"", status=404)
        if not with_body:
            return self._send(content, body=False)
        return self._send_file(name, content, slow_s=self.server_state.slow_s if "/drive/" in path else 0.0)

    def _list(self, path: str) -> None:
        if "/tree/" in path:
            self.server_state.listings += 1
            entries = [
                {"type": "file", "path": name, "size": len(content), "oid": hashlib.sha1(content).hexdigest()}
                for name, content in self.server_state.files.items()
            ]
            return self._send(json.dumps(entries).encode(), kind="application/json")
        info = {"id": path.removeprefix("/api/datasets/").split("/revision/")[0], "sha": COMMIT}
        return self._send(json.dumps(info).encode(), kind="application/json")

    def _send_file(self, name: str, content: bytes, *, slow_s: float) -> None:
        middle = len(content) // 2
        self._head(content)
        self.wfile.write(content[:middle])
        self.wfile.flush()
        if self.server_state.broken[name] > 0:
            self.server_state.broken[name] -= 1
            self.close_connection = True
            return
        time.sleep(slow_s)
        self.wfile.write(content[middle:])
        self.server_state.sent[name] += 1

    def _send(
        self, content: bytes, *, status: int = 200, kind: str = "binary/file", body: bool = True
    ) -> None:
        self._head(content, status=status, kind=kind)
        if body:
            self.wfile.write(content)

    def _head(self, content: bytes, *, status: int = 200, kind: str = "binary/file") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("ETag", f'"{hashlib.sha1(content).hexdigest()}"')
        self.end_headers()

    def handle(self) -> None:
        try:
            super().handle()
        except ConnectionError:  # the other side was stopped in the middle
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def running_server() -> Iterator[SoccerNetServer]:
    """Serve until the end of the context."""
    handler = type("Handler", (_Handler,), {})
    http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    http.daemon_threads = True
    handler.server_state = SoccerNetServer(http.server_address[1])
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield handler.server_state
    finally:
        http.shutdown()
        http.server_close()
        thread.join()
