"""Data sets at a URI, fetched from a server of HTTP and from a folder."""

import functools
import http.server
import shutil
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from soccernet_folder import V2, halves, v1_notes, v2_notes, write_game, write_splits

from model.data.stores.building import open_split
from model.data.stores.copying import COPIES
from model.data.stores.remote import open_remote_split, remote_description
from model.data.stores.store import Store
from model.data.synthetic import write_synthetic
from model.errors import DataError, UserError


class Server(http.server.ThreadingHTTPServer):
    """Serves a folder without listings; counts what was fetched, and can be told to misbehave."""

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), functools.partial(_Handler, directory=str(folder)))
        self.folder, self.fetched = folder, Counter[str]()
        self.status: int | None = None
        self.cut_after = ""
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/games"

    @property
    def features(self) -> int:
        """Files of features that were fetched."""
        return sum(count for path, count in self.fetched.items() if path.endswith(".npy"))


class _Handler(http.server.SimpleHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.fetched[self.path] += 1
        if self.server.cut_after and self.path.endswith(self.server.cut_after):
            self.send_response(200)
            self.send_header("Content-Length", "100000")
            self.end_headers()
            self.wfile.write(b"half of it")
            self.close_connection = True
            return
        super().do_GET()

    def send_head(self):  # type: ignore[no-untyped-def]
        if self.server.status is not None:
            self.send_error(self.server.status)
            return None
        return super().send_head()

    def list_directory(self, path):  # type: ignore[no-untyped-def]
        self.send_error(404)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    root = tmp_path / "there" / "games"
    write_synthetic(root, games={"train": 2, "valid": 1, "test": 1}, dims=8, minutes=15, seed=1)
    with Server(root.parent) as server:
        yield server
        server.shutdown()


def opened(uri: str, cache: Path, split: str = "train") -> Store:
    return open_remote_split(uri, features="synthetic", split=split, cache=cache)


def copy_in(cache: Path) -> Path:
    (folder,) = (path for path in (cache / COPIES).iterdir() if path.is_dir())
    return folder


def a_feature_file(root: Path) -> Path:
    return sorted(root.rglob("*.npy"))[0]


@pytest.mark.parametrize("kind", ["http", "file"])
def test_a_split_from_elsewhere_is_the_one_that_lies_there(kind: str, server: Server, tmp_path: Path) -> None:
    root = server.folder / "games"
    uri = server.uri if kind == "http" else root.as_uri()
    here = open_split(root, features="synthetic", split="train", cache=tmp_path / "one")
    assert opened(uri, tmp_path / "two").digest == here.digest
    assert remote_description(uri, tmp_path / "two").name == "synthetic"
    fetched = {
        str(path.relative_to(copy_in(tmp_path / "two"))) for path in copy_in(tmp_path / "two").rglob("*.*")
    }
    assert len(fetched) == 8 and not any("valid" in name or "test" in name for name in fetched)


def test_progress_counts_files_then_games(server: Server, tmp_path: Path) -> None:
    files: list[tuple[int, int]] = []
    games: list[tuple[int, int]] = []
    open_remote_split(
        server.uri,
        features="synthetic",
        split="train",
        cache=tmp_path,
        fetching=lambda *done: files.append(done),
        reading=lambda *done: games.append(done),
    )
    assert files == [(number, 6) for number in range(1, 7)]
    assert games == [(1, 2), (2, 2)]


def test_what_is_here_is_not_fetched_twice(server: Server, tmp_path: Path) -> None:
    opened(server.uri, tmp_path)
    opened(server.uri, tmp_path)
    assert server.features == 4


def test_two_processes_at_once_fetch_once(server: Server, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from model.data.stores.remote import open_remote_split;"
        "cache = Path(sys.argv[2]);"
        "print(open_remote_split(sys.argv[1], features='synthetic', split='train', cache=cache).digest)"
    )
    command = [sys.executable, "-c", code, server.uri, str(tmp_path)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    answers = [process.communicate(timeout=120)[0] for process in processes]
    assert answers[0] == answers[1] != ""
    assert server.features == 4


@pytest.mark.parametrize("damage", ["cut", "changed", "removed"])
def test_a_damaged_copy_is_fetched_again(damage: str, server: Server, tmp_path: Path) -> None:
    digest = opened(server.uri, tmp_path).digest
    file = a_feature_file(copy_in(tmp_path))
    content = file.read_bytes()
    if damage == "removed":
        file.unlink()
    else:
        file.write_bytes(content[:-100] if damage == "cut" else content[:-1] + b"\0")
    assert opened(server.uri, tmp_path).digest == digest
    assert file.read_bytes() == content
    assert server.features == 5


def test_a_copy_that_was_only_touched_stays(server: Server, tmp_path: Path) -> None:
    opened(server.uri, tmp_path)
    a_feature_file(copy_in(tmp_path)).touch()
    opened(server.uri, tmp_path)
    assert server.features == 4


def test_what_changes_there_is_fetched_again(server: Server, tmp_path: Path) -> None:
    before = opened(server.uri, tmp_path).digest
    labels = server.folder / "games/synthetic/train/game-001/Labels.json"
    labels.write_text('{"annotations": []}')
    after = opened(server.uri, tmp_path)
    assert after.digest != before
    assert server.features == 4
    labels.unlink()
    with pytest.raises(DataError, match="no such file"):
        opened(server.uri, tmp_path)


def test_a_broken_connection_leaves_no_half_file_and_the_next_try_resumes(
    server: Server, tmp_path: Path
) -> None:
    server.cut_after = "game-002/2_SYNTHETIC.npy"
    with pytest.raises(DataError, match=f"cannot read the data at {server.uri}") as refused:
        opened(server.uri, tmp_path)
    assert "game-002/2_SYNTHETIC.npy" in str(refused.value)
    assert not list(copy_in(tmp_path).rglob("game-002/2_SYNTHETIC.npy"))
    server.cut_after = ""
    fetched = server.features
    opened(server.uri, tmp_path)
    assert server.features - fetched == 1


def test_a_list_of_files_that_a_kill_cut_costs_a_file(server: Server, tmp_path: Path) -> None:
    opened(server.uri, tmp_path)
    lines = copy_in(tmp_path).with_suffix(".jsonl")
    lines.write_bytes(lines.read_bytes()[:-20])
    opened(server.uri, tmp_path)
    assert server.fetched.total() - len(server.fetched) == 1


def test_soccernet_needs_no_description(server: Server, tmp_path: Path) -> None:
    root = server.folder / "games"
    for split in ("train", "valid"):
        for line in (root / f"{split}.txt").read_text().split():
            for file in (root / line).glob("*.npy"):
                shutil.move(file, file.with_name(f"{file.name[0]}_ResNET_PCA512.npy"))
    (root / "dataset.toml").unlink()
    assert remote_description(server.uri, tmp_path).name == "soccernet-v1"


def test_labels_do_not_depend_on_what_was_fetched_before(server: Server, tmp_path: Path) -> None:
    root = server.folder / "soccernet"
    write_splits(root, lambda game: write_both(root, game))
    uri = f"{server.uri.rsplit('/', 1)[0]}/soccernet"
    fresh = open_remote_split(uri, features="X", split="train", cache=tmp_path / "fresh")
    open_remote_split(uri, features="X", split="valid", cache=tmp_path / "used", labels="v2")
    used = open_remote_split(uri, features="X", split="train", cache=tmp_path / "used")
    assert fresh.labels == used.labels == "v1"
    assert fresh.digest == used.digest and "--labels v2" in used.notices[0]


def test_games_of_more_than_nine_parts_are_fetched_whole(server: Server, tmp_path: Path) -> None:
    root, parts = server.folder / "innings", range(1, 13)
    notes = v2_notes(halves=parts, last_s=200)
    write_splits(root, lambda game: write_game(root, game, notes, halves("X", 600, parts), "Labels.json"))
    classes = "".join(
        f'{name} = ["{label}"]\n' for name, label in zip(V2.classes, V2.label_texts, strict=True)
    )
    text = f'name = "baseball"\nframe_rate = 2.0\nlabels_file = "Labels.json"\n[classes]\n{classes}'
    (root / "dataset.toml").write_text(text)
    uri = f"{server.uri.rsplit('/', 1)[0]}/innings"
    there = open_remote_split(uri, features="X", split="train", cache=tmp_path / "two")
    assert [half.number for half in there.halves] == list(parts) and len(there.actions) == 12 * 17
    here = open_split(root, features="X", split="train", cache=tmp_path / "one")
    assert there.digest == here.digest


def write_both(root: Path, game: str) -> None:
    write_game(root, game, v1_notes(), {}, "Labels.json")
    write_game(root, game, v2_notes(last_s=200), halves("X", 600))


@pytest.mark.parametrize("status", [401, 403, 500, 503])
def test_a_server_that_refuses_is_not_an_empty_folder(status: int, server: Server, tmp_path: Path) -> None:
    server.status = status
    with pytest.raises(DataError, match=f"cannot read the data at {server.uri}: {status}"):
        opened(server.uri, tmp_path)


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("http://127.0.0.1:9/games", "cannot read the data at http://127.0.0.1:9/games: Cannot connect"),
        ("file:///nowhere", "no data set at file:///nowhere"),
        ("nothing://games", "cannot read nothing://games: Protocol not known"),
    ],
)
def test_what_cannot_be_read_is_named(uri: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=said):
        opened(uri, tmp_path)


def test_a_package_that_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(UserError, match=r"cannot read s3://bucket/games.*s3fs") as refused:
        opened("s3://bucket/games", tmp_path)
    assert "the extra 's3'" in str(refused.value)
