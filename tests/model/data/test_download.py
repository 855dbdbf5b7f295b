"""Downloads from a local server in the place of SoccerNet's, by the package itself in its own process."""

import errno
import functools
import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from data.soccernet_server import SoccerNetServer, npy, running_server, v1_labels
from waiting import wait_until

from model.data.checks.check import check_dataset
from model.data.download import DownloadReport, download_soccernet
from model.data.download import worker as worker_module
from model.data.download.client import fetch_error
from model.data.layout.description import builtin_description, write_description
from model.errors import ConfigError, DataError, UserError
from model.locks import locked

Download = Callable[..., DownloadReport]
SPLITS = {
    "train": ["epl/2015/17-05 - A 1 - 1 B", "epl/2015/18-05 - C 3 - 0 D"],
    "valid": ["epl/2015/19-05 - E 0 - 0 F"],
    "test": ["liga/2016/20-05 - G 2 - 4 H"],
}
GAMES = [game for games in SPLITS.values() for game in games]
RESNET = "1_ResNET_PCA512.npy"

COMMAND = """
import functools, signal, sys
# A shell makes what it starts in the background deaf to Ctrl-C, and these tests may have been started so.
signal.signal(signal.SIGINT, signal.default_int_handler)
import model.data.download as package
from hpo.cli.main import main
package.download_soccernet = functools.partial(package.download_soccernet, drive={drive!r})
sys.argv = ["hpo", "data", "download", "--to", {root!r}]
main()
"""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[SoccerNetServer]:
    with running_server() as server:
        for game in GAMES:
            server.add_game(game)
        monkeypatch.setenv("HF_ENDPOINT", server.address)
        yield server


@pytest.fixture
def download(server: SoccerNetServer) -> Download:
    return functools.partial(download_soccernet, drive=server.drive)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A data folder with lists of few games: lists that are there already are kept."""
    folder = tmp_path / "data"
    folder.mkdir()
    for split, games in SPLITS.items():
        (folder / f"{split}.txt").write_text("".join(f"{game}\n" for game in games))
    return folder


def files_in(root: Path) -> list[str]:
    return sorted(str(file.relative_to(root)) for file in root.rglob("*") if file.is_file())


def start_command(root: Path, server: SoccerNetServer) -> "subprocess.Popen[str]":
    script = COMMAND.format(drive=server.drive, root=str(root))
    return subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_published_lists_features_and_labels_arrive_and_the_check_finds_no_problem(
    tmp_path: Path, server: SoccerNetServer, download: Download, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("SoccerNet.utils.getListGames", lambda split: SPLITS[split])
    shown: list[tuple[Any, ...]] = []
    report = download(tmp_path / "new", features="resnet", progress=lambda *step: shown.append(step))
    assert report == DownloadReport(games={"train": 2, "valid": 1, "test": 1}, fetched=12, kept=0, aside=())
    assert shown[0] == ("checking games", 1, 4) and shown[-1] == ("downloading files", 12, 12)
    assert [done for _, done, _ in shown[4:]] == sorted(done for _, done, _ in shown[4:])
    assert set(server.sent.values()) == {1}
    names = ("1_ResNET_PCA512.npy", "2_ResNET_PCA512.npy", "Labels.json")
    lists = ("dataset.toml", "test.txt", "train.txt", "valid.txt")
    assert files_in(tmp_path / "new") == sorted(
        [*lists, *(f"{game}/{name}" for game in GAMES for name in names)]
    )
    assert check_dataset(tmp_path / "new", features="resnet").problems == ()


def test_second_run_fetches_nothing(root: Path, server: SoccerNetServer, download: Download) -> None:
    download(root, features="resnet")
    sent = server.sent.copy()
    server.refuse["/"] = 500  # not even asked
    report = download(root, features="resnet")
    assert (report.fetched, report.kept) == (0, 12)
    assert server.sent == sent


def test_lists_that_are_there_choose_the_games_and_are_kept(
    root: Path, server: SoccerNetServer, download: Download
) -> None:
    (root / "train.txt").write_text(f"# one is enough\n{GAMES[1]}\n")
    assert download(root, features="resnet", splits=["train"]).games == {"train": 1}
    assert {name.rsplit("/", 1)[0] for name in server.sent} == {GAMES[1]}
    assert (root / "train.txt").read_text() == f"# one is enough\n{GAMES[1]}\n"


def test_many_games_from_hugging_face_take_few_listings_and_v2_labels_are_what_is_read(
    root: Path, server: SoccerNetServer, download: Download
) -> None:
    games = [f"epl/2016/{number:02} A - B" for number in range(25)]
    for game in games:
        server.add_game(game, stem="ResNET_TF2_PCA512", frames=40)
    (root / "train.txt").write_text("\n".join(games))
    report = download(root, features="ResNET_TF2_PCA512", labels="v2", splits=["train"])
    assert report.fetched == 75 and server.listings <= 4
    (root / games[0] / "Labels.json").write_bytes(v1_labels())  # alone it would be read as v1
    assert check_dataset(root, features="ResNET_TF2_PCA512", splits=["train"]).actions["train"]["goal"] == 25


def test_after_kill_9_the_same_command_resumes_and_downloads_no_complete_file_again(
    root: Path, server: SoccerNetServer
) -> None:
    server.slow_s = 0.5
    process = start_command(root, server)
    wait_until(lambda: sum(name.endswith(".npy") for name in server.sent) >= 2)
    process.kill()
    process.communicate()
    whole = [file.relative_to(root).parts[-4:] for file in root.rglob("*.npy")]
    assert 1 <= len(whole) < 8
    server.slow_s = 0.0
    output, errors = start_command(root, server).communicate(timeout=30)
    assert (
        "2 train, 1 valid, 1 test games" in output
        and f"next: hpo run bayes --features resnet --data {root}" in output
    )
    assert errors == ""
    assert {server.sent["/".join(parts)] for parts in whole} == {1}
    assert check_dataset(root, features="resnet").problems == ()
    assert not (root / ".incoming").exists()


def test_ctrl_c_stops_cleanly_and_says_how_to_go_on(
    root: Path, server: SoccerNetServer, download: Download
) -> None:
    server.slow_s = 0.5  # the test has to notice the second file before the last is there
    process = start_command(root, server)
    wait_until(lambda: sum(name.endswith(".npy") for name in server.sent) >= 2)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert (output, errors) == ("", "stopped; run the same command again to continue\n")
    arrived = {file for file in files_in(root) if file.endswith(".npy")}
    assert arrived and not (root / ".incoming").exists()
    server.slow_s = 0.0
    download(root, features="resnet")
    assert {server.sent[name] for name in arrived} == {1}


def test_worker_ends_with_the_one_who_asked_in_the_middle_of_a_file(
    tmp_path: Path, server: SoccerNetServer
) -> None:
    server.slow_s = 60.0
    path = Path(worker_module.__file__)
    with subprocess.Popen([sys.executable, "-P", str(path)], stdin=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        request = worker_request(tmp_path, server)
        process.stdin.write(f"{request}\n")
        process.stdin.flush()
        wait_until(lambda: next(tmp_path.rglob("*.part"), None) is not None)
        process.stdin.close()
        assert process.wait(timeout=10) == 0
    assert next(tmp_path.rglob("*.npy"), None) is None


def worker_request(folder: Path, server: SoccerNetServer) -> str:
    asked = {"games": GAMES[:1], "files": [RESNET], "split": "train"}
    return json.dumps({"folder": str(folder), "drive": server.drive, **asked})


def test_connections_that_end_in_the_middle_of_a_file_are_tried_again(
    root: Path, server: SoccerNetServer, download: Download
) -> None:
    server.broken.update({f"{GAMES[0]}/{RESNET}": 1, f"{GAMES[0]}/Labels.json": 1})
    download(root, features="resnet")
    assert check_dataset(root, features="resnet").problems == ()


def test_file_that_came_broken_once_is_fetched_again(
    root: Path, server: SoccerNetServer, download: Download
) -> None:
    name = f"{GAMES[2]}/{RESNET}"
    sound, server.files[name] = server.files[name], b"<html>sorry</html>"

    def mend(what: str, done: int, total: int) -> None:
        if server.sent[name]:
            server.files[name] = sound

    assert download(root, features="resnet", progress=mend).fetched == 12
    assert server.sent[name] == 2 and max(server.sent[other] for other in server.sent if other != name) == 1
    assert check_dataset(root, features="resnet").problems == ()


def test_files_that_stay_unsound_are_fetched_twice_and_reported_together(
    root: Path, server: SoccerNetServer, download: Download
) -> None:
    broken, narrow, late, absent = (f"{game}/{RESNET}" for game in GAMES)
    nan = np.zeros((240, 512), dtype=np.float16)
    nan[7, 3] = np.nan
    server.files[broken] = b"not numpy"
    server.files[narrow] = npy(np.zeros((240, 511), dtype=np.float32))
    server.files[narrow.replace("/1_", "/2_")] = npy(nan)
    server.files[f"{GAMES[2]}/Labels.json"] = v1_labels(last="2 - 10:00")
    del server.files[absent]
    with pytest.raises(DataError, match="5 problems in SoccerNet's files after 2 downloads") as caught:
        download(root, features="resnet")
    reported = [str(problem).removeprefix(f"{root}/") for problem in caught.value.problems]
    assert f"{broken}: not a readable .npy file of numbers" in str(reported)
    assert f"{narrow}: shape: expected 512 dimensions per frame, got 511" in reported
    nowhere = f"{narrow.replace('/1_', '/2_')}: frame 7"
    assert f"{nowhere}: expected finite numbers of float16, got nan in column 3" in reported
    assert (
        f"{GAMES[2]}/Labels.json: annotation 2: substitution at 600 s of half 2 is "
        "480 s past the end of the features (expected at most 60 s)" in reported
    )
    assert f"{absent}: not on the server" in reported
    assert server.sent[broken] == server.sent[narrow] == server.sent[late] == 2
    assert server.sent[broken.replace("/1_", "/2_")] == 1
    assert not (root / broken).exists() and not (root / narrow).exists() and (root / late).exists()
    assert (root / "dataset.toml").exists()


def test_features_of_another_kind_of_numbers_than_the_rest_are_kept(
    root: Path, server: SoccerNetServer, download: Download
) -> None:
    server.files[f"{GAMES[3]}/{RESNET}"] = npy(np.eye(240, 512, dtype=np.float16))
    download(root, features="resnet")
    assert check_dataset(root, features="resnet").problems == ()


def test_unsound_file_that_was_there_is_moved_aside_not_lost(
    root: Path, server: SoccerNetServer, download: Download
) -> None:
    mine = root / GAMES[0] / "Labels.json"
    mine.parent.mkdir(parents=True)
    mine.write_text("my notes")
    report = download(root, features="resnet")
    assert report.aside == (mine.with_name("Labels.json.unsound"),)
    assert report.aside[0].read_text() == "my notes"
    assert check_dataset(root, features="resnet").problems == ()


@pytest.mark.parametrize(
    ("part", "status", "said"),
    [
        ("/api/", 403, "HTTP 403 Forbidden\n  fix: request access"),
        ("/resolve/", 401, "HTTP 401 Unauthorized\n  fix: request access"),
        ("/api/", 404, "HTTP 404 Not Found\n  fix: a newer SoccerNet package"),
        ("/api/", 503, "HTTP 503 Service Unavailable\n  fix: wait a few minutes"),
        ("/drive/", 403, "HTTP 403 Forbidden\n  fix: request access"),
    ],
)
def test_refusal_is_one_clear_error(
    part: str, status: int, said: str, root: Path, server: SoccerNetServer, download: Download
) -> None:
    server.refuse[part] = status
    with pytest.raises(DataError) as caught:
        download(root, features="resnet")
    assert said in str(caught.value) and "run the same command again" in str(caught.value)
    assert f"of 2 games from {server.address}" in caught.value.message


def test_server_without_any_of_many_files_ends_the_run_at_once(
    root: Path, server: SoccerNetServer, download: Download
) -> None:
    (root / "train.txt").write_text("".join(f"epl/2015/{number}\n" for number in range(30)))
    with pytest.raises(DataError, match=r"Labels.json of 20 games, got none"):
        download(root, features="resnet")


def test_files_that_many_games_lack_on_the_server_are_listed_and_the_other_games_come(
    root: Path, server: SoccerNetServer, download: Download
) -> None:
    games = [f"epl/2016/{number:02} A - B" for number in range(13)]
    for game in games:
        server.add_game(game)
        del server.files[f"{game}/{RESNET}"]
    (root / "train.txt").write_text("\n".join(games))
    with pytest.raises(DataError) as caught:
        download(root, features="resnet", splits=["valid", "train", "test"])
    lacking = [f"{root / game / RESNET}: not on the server" for game in games]
    assert [str(problem) for problem in caught.value.problems] == lacking
    assert check_dataset(root, features="resnet", splits=["valid", "test"]).problems == ()


def test_unreachable_server_is_one_clear_error(
    root: Path, download: Download, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(DataError, match=r"from http://127.0.0.1:9, got .*refused\n  fix: check the network"):
        download(root, features="resnet")


def test_full_disk_is_reported_with_the_free_space(tmp_path: Path) -> None:
    try:
        raise RuntimeError("download failed") from OSError(errno.ENOSPC, "No space left on device")
    except RuntimeError as error:
        failure = worker_module.failure(error, "a server")
    reported = str(fetch_error(failure, "1_X.npy of 20 games", tmp_path / "staging"))
    assert (
        "the disk is full: expected space for 1_X.npy of 20 games" in reported
        and "free some space, then" in reported
    )


def test_folder_that_cannot_be_written_is_an_error_for_the_user(tmp_path: Path, download: Download) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot write in"):
        download(tmp_path / "file", features="resnet")


def test_second_download_into_the_same_folder_is_refused(root: Path, download: Download) -> None:
    (root / ".incoming").mkdir()
    with locked(root / ".incoming" / "lock"), pytest.raises(DataError, match="is running"):
        download(root, features="resnet")


def test_package_that_is_not_installed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "SoccerNet", None)
    with pytest.raises(ConfigError, match=r"fix: pip install 'hpo\[soccernet\]'"):
        download_soccernet(tmp_path, features="resnet")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            {"features": "rsnet"},
            r"unknown SoccerNet features 'rsnet'\n  known: resnet \(ResNET_PCA512\), c3d",
        ),
        ({"features": "c3d", "labels": "v3"}, "expected --labels v1 or v2, got 'v3'"),
        (
            {"features": "c3d", "splits": ["train", "challenge"]},
            r"unknown split 'challenge' \(expected --splits from train,valid,test\)",
        ),
    ],
)
def test_unknown_choice_is_reported_with_what_is_known(
    options: dict[str, Any], said: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=said):
        download_soccernet(tmp_path, **options)
    assert list(tmp_path.iterdir()) == []


def test_folder_that_reads_other_labels_is_refused(tmp_path: Path) -> None:
    write_description(tmp_path, builtin_description("soccernet-v2"))
    with pytest.raises(UserError, match=r"labels_file 'Labels-v2.json' instead of 'Labels.json'"):
        download_soccernet(tmp_path, features="resnet", labels="v1")
