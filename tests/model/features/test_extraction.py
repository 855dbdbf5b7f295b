"""From videos to a data folder: killed and continued, kept, shortened, and told apart by recipe."""

import fcntl
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import IO

import numpy as np
import pytest
import torch
from generated_video import own_network, picture_of, steady, write_video

from model.data.layout.description import read_description
from model.data.stores.building import open_split
from model.data.stores.store import Store
from model.errors import DataError
from model.features import extraction, part
from model.features.decoding import Gap
from model.features.extraction import Extraction, ExtractionHere, extract_games
from model.features.games import GameVideo, games_of_files
from model.features.networks import FeatureNetwork, load_network
from model.features.part import PartFile
from model.features.pca import Pca, fit_pca
from model.locks import is_locked

CPU = torch.device("cpu")
LABELS = '{"annotations": [{"gameTime": "1 - 00:10", "label": "goal"}]}'


class StoppedError(Exception):
    """Stands for the end of a killed process."""


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> FeatureNetwork:
    return load_network(str(own_network(tmp_path_factory.mktemp("network") / "own.pt")), None, CPU)


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> list[GameVideo]:
    """Two games for training, one for validation; the second begins with other numbers."""
    folder = tmp_path_factory.mktemp("videos")
    files = [
        write_video(
            folder / f"{name}.mp4",
            steady(frames, Fraction(5)),
            rate=Fraction(5),
            picture=lambda number, first=first: picture_of(first + number),
        )
        for name, frames, first in (("one", 80, 0), ("two", 62, 1000), ("three", 70, 2000))
    ]
    return [
        replace(game, split=split)
        for game, split in zip(games_of_files(files), ("train", "train", "valid"), strict=True)
    ]


def extract(wanted: Extraction, games: list[GameVideo]) -> tuple[str, int]:
    def ignore(file: Path, gap: Gap) -> None:
        raise AssertionError(f"unexpected gap in {file}: {gap}")

    here = ExtractionHere(wanted.network, CPU, ignore, lambda what, done, total: None)
    return extract_games(wanted, games, here)


def opened(root: Path, stem: str, cache: Path) -> Store:
    for game in root.iterdir():
        if game.is_dir():
            (game / "Labels.json").write_text(LABELS)
    file = root / "dataset.toml"
    if "[classes]" not in file.read_text():
        file.write_text(file.read_text() + '\n[classes]\ngoal = ["goal"]\n')
    return open_split(root, features=stem, split="train", cache=cache)


def test_extracted_features_are_a_data_set(
    network: FeatureNetwork, videos: list[GameVideo], tmp_path: Path
) -> None:
    wanted = Extraction(root=tmp_path / "data", network=network, per_second=2.0)
    assert extract(wanted, videos) == ("OWN", 32 + 25 + 28)
    store = opened(wanted.root, "OWN", tmp_path / "cache")
    assert (store.games, store.dims, store.features.dtype) == (("one", "two"), 48, np.float16)
    assert store.recipe == wanted.recipe and store.frame_rate.per_second == 2.0
    # Pictures change with every frame; those of both games differ in the middle bars.
    assert len(np.unique(np.asarray(store.features), axis=0)) > 20
    assert extract(wanted, videos) == ("OWN", 0)


def test_recipe_is_part_of_the_digest(
    network: FeatureNetwork, videos: list[GameVideo], tmp_path: Path
) -> None:
    root = tmp_path / "data"
    extract(Extraction(root=root, network=network, per_second=2.0), videos[:1])
    before = opened(root, "OWN", tmp_path / "cache").digest
    file = root / "dataset.toml"
    file.write_text(file.read_text().replace(network.weights, "0" * 64))
    assert opened(root, "OWN", tmp_path / "cache").digest != before


def test_killed_extraction_continues_from_its_last_block(
    network: FeatureNetwork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    video = write_video(tmp_path / "long.mp4", steady(1000), options={"preset": "ultrafast", "g": "25"})
    games = games_of_files([video])
    whole = Extraction(root=tmp_path / "whole", network=network, per_second=4.0)
    assert extract(whole, games) == ("OWN", 160)
    seen: list[int] = []

    def stops(self: FeatureNetwork, pictures: np.ndarray, device: torch.device) -> np.ndarray:
        seen.append(len(pictures))
        if len(seen) == 4:
            raise StoppedError
        return real(self, pictures, device)

    real = FeatureNetwork.features
    broken = replace(whole, root=tmp_path / "broken")
    with monkeypatch.context() as patch, pytest.raises(StoppedError):
        patch.setattr(FeatureNetwork, "features", stops)
        extract(broken, games)
    rows = broken.root / "long" / ".1_OWN.rows"
    rows.write_bytes(rows.read_bytes() + b"half")  # a row that the killed process did not end
    for computed in (160 - 3 * 32, 0):
        assert extract(broken, games) == ("OWN", computed) and not rows.exists()
        rows.touch()  # as a kill leaves it when the features are whole
    files = [each.root / "long" / "1_OWN.npy" for each in (whole, broken)]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_lists_and_description_are_changed_by_one_process_at_a_time(
    network: FeatureNetwork, videos: list[GameVideo], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed: list[str] = []
    for name in ("list_games", "declare_features"):

        def change(root: Path, *words: object, name: str = name) -> None:
            assert is_locked(root / ".changing.lock")
            changed.append(name)

        monkeypatch.setattr(extraction, name, change)
    extract(Extraction(root=tmp_path, network=network, per_second=2.0), [])
    assert changed == ["list_games", "declare_features"]


def test_two_processes_do_not_mix_their_rows(
    network: FeatureNetwork, videos: list[GameVideo], tmp_path: Path
) -> None:
    wanted = Extraction(root=tmp_path, network=network, per_second=2.0)
    (tmp_path / "one").mkdir()
    with (tmp_path / "one" / ".1_OWN.rows").open("ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(DataError, match="another process"):
            extract(wanted, videos[:1])
    assert extract(wanted, videos[:1]) == ("OWN", 32)


def test_another_video_or_recipe_under_the_same_name_is_refused(
    network: FeatureNetwork, videos: list[GameVideo], tmp_path: Path
) -> None:
    wanted = Extraction(root=tmp_path, network=network, per_second=2.0)
    extract(wanted, videos[:1])
    with pytest.raises(DataError, match="another video"):
        extract(wanted, [replace(videos[1], game="one")])
    with pytest.raises(DataError, match=r"by another recipe; frame_rate: expected 2\.0, got 5\.0"):
        extract(replace(wanted, per_second=5.0), videos[:1])
    assert extract(replace(wanted, per_second=5.0, name="OWN_5"), videos[:1]) == ("OWN_5", 80)
    assert set(read_description(described(tmp_path)).recipes) == {"OWN", "OWN_5"}


def shortened(wanted: Extraction, pca: Pca) -> Extraction:
    return replace(wanted, dims=len(pca.components), pca=pca)


@pytest.fixture(scope="module")
def four(network: FeatureNetwork, videos: list[GameVideo], tmp_path_factory: pytest.TempPathFactory) -> Pca:
    """Four principal components of another folder."""
    wanted = Extraction(root=tmp_path_factory.mktemp("four"), network=network, per_second=2.0, dims=4)
    extract(wanted, videos[:1])
    return Pca.load(wanted.pca_file)


def test_features_of_another_video_or_recipe_are_not_shortened(
    network: FeatureNetwork, videos: list[GameVideo], four: Pca, tmp_path: Path
) -> None:
    wanted = Extraction(root=tmp_path, network=network, per_second=2.0)
    extract(wanted, videos[:1])
    short = tmp_path / "one" / "1_OWN_PCA4.npy"
    with pytest.raises(DataError, match="another video or recipe"):
        extract(shortened(replace(wanted, per_second=5.0), four), videos[:1])
    (tmp_path / "dataset.toml").unlink()
    with pytest.raises(DataError, match="another video or recipe"):
        extract(shortened(wanted, four), [replace(videos[1], game="one")])
    assert not short.exists()
    assert extract(shortened(wanted, four), videos[:1]) == ("OWN_PCA4", 0)
    with pytest.raises(DataError, match="another video or recipe"):
        extract(shortened(wanted, four), [replace(videos[1], game="one")])
    short.unlink()
    (tmp_path / "one" / "1_OWN.json").unlink()
    with pytest.raises(DataError, match="of an unknown one"):
        extract(shortened(wanted, four), videos[:1])
    assert not short.exists()


def test_rows_stay_locked_until_the_features_are_whole(
    network: FeatureNetwork,
    videos: list[GameVideo],
    four: Pca,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    finished: list[str] = []

    def finish(target: PartFile) -> None:
        with target.begun.open("ab") as other, pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        finished.append(target.stem)
        real(target)

    real = part._finish
    monkeypatch.setattr(part, "_finish", finish)
    wanted = Extraction(root=tmp_path, network=network, per_second=2.0)
    extract(wanted, videos[:1])
    extract(shortened(wanted, four), videos[:1])
    assert finished == ["OWN", "OWN_PCA4"]


def test_process_that_was_too_late_for_the_lock_leaves_what_is_there(
    network: FeatureNetwork, videos: list[GameVideo], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = Extraction(root=tmp_path, network=network, per_second=2.0)

    def waits(stream: IO[bytes], target: PartFile) -> None:
        monkeypatch.setattr(part, "_lock", real)
        extract(wanted, videos[:1])  # another process, from its beginning to its end

    real = part._lock
    monkeypatch.setattr(part, "_lock", waits)
    assert extract(wanted, videos[:1]) == ("OWN", 0)
    assert sorted(file.name for file in (tmp_path / "one").iterdir()) == ["1_OWN.json", "1_OWN.npy"]


def described(root: Path) -> Path:
    file = root / "dataset.toml"
    file.write_text(file.read_text() + '\n[classes]\ngoal = ["goal"]\n')
    return root


def test_pca_is_fitted_on_the_training_split_and_kept(
    network: FeatureNetwork, videos: list[GameVideo], tmp_path: Path
) -> None:
    wanted = Extraction(root=tmp_path / "data", network=network, per_second=2.0, dims=8)
    assert extract(wanted, videos)[0] == "OWN_PCA8"
    pca = Pca.load(wanted.pca_file)
    train = [wanted.root / name / "1_OWN.npy" for name in ("one", "two")]
    assert fit_pca(train, 8).digest == pca.digest
    assert fit_pca([*train, wanted.root / "three" / "1_OWN.npy"], 8).digest != pca.digest
    store = opened(wanted.root, "OWN_PCA8", tmp_path / "cache")
    assert store.dims == 8 and store.recipe is not None and store.recipe.pca == pca.digest
    assert set(read_description(wanted.root).recipes) == {"OWN_PCA8"}  # later games have no others
    # A later video gets the same one, straight from the network, here and in another folder.
    later = replace(videos[2], game="later", split="")
    assert extract(wanted, [later]) == ("OWN_PCA8", 28)
    elsewhere = replace(wanted, root=tmp_path / "other", pca=pca)
    assert extract(elsewhere, [later]) == ("OWN_PCA8", 28)
    files = [wanted.root / "later", elsewhere.root / "later", wanted.root / "three"]
    first, *others = ((folder / "1_OWN_PCA8.npy").read_bytes() for folder in files)
    assert others == [first, first] and not (wanted.root / "later" / "1_OWN.npy").exists()


def test_other_principal_components_are_refused(
    network: FeatureNetwork, videos: list[GameVideo], tmp_path: Path
) -> None:
    wanted = Extraction(root=tmp_path, network=network, per_second=2.0, dims=4)
    extract(wanted, videos[:1])
    kept = Pca.load(wanted.pca_file)
    with pytest.raises(DataError, match="other principal components"):
        extract(replace(wanted, pca=Pca(kept.mean, -kept.components)), videos[:1])
    wanted.pca_file.unlink()
    with pytest.raises(DataError, match="pca: expected"):
        extract(replace(wanted, pca=Pca(kept.mean, -kept.components)), videos[1:2])


def test_principal_components_of_another_length_are_refused(
    network: FeatureNetwork, videos: list[GameVideo], four: Pca, tmp_path: Path
) -> None:
    wanted = Extraction(root=tmp_path, network=network, per_second=2.0, dims=8, pca=four)
    with pytest.raises(DataError, match=r"expected dims = 4, .* got dims = 8"):
        extract(wanted, videos[:1])
    with pytest.raises(DataError, match=r"expected dims = 4, .* got dims = None"):
        extract(replace(wanted, dims=None), videos[:1])
    four.save(wanted.pca_file)
    with pytest.raises(DataError, match=r"expected dims = 4, .* got dims = 8"):
        extract(replace(wanted, pca=None), videos[:1])


def test_pca_without_a_training_split_is_one_error(
    network: FeatureNetwork, videos: list[GameVideo], tmp_path: Path
) -> None:
    wanted = Extraction(root=tmp_path, network=network, per_second=2.0, dims=4)
    with pytest.raises(DataError, match="fitted on the training split"):
        extract(wanted, [replace(videos[0], split="")])
    with pytest.raises(DataError, match="100 principal components need"):
        extract(replace(wanted, dims=100), videos[:1])
    np.save(tmp_path / "one" / "2_OWN.npy", np.full((9, 3), np.nan))
    with pytest.raises(DataError, match=r"2_OWN.npy: shape: .* got 3\n.* got nan in column 0"):
        extract(wanted, videos[:1])


def test_principal_components_are_fitted_to_the_games_of_any_list(
    network: FeatureNetwork, videos: list[GameVideo], four: Pca, tmp_path: Path
) -> None:
    (tmp_path / "train.txt").write_bytes("# mine\r\none/\r\n".encode("utf-16"))
    wanted = Extraction(root=tmp_path, network=network, per_second=2.0, dims=4)
    extract(wanted, [replace(videos[0], split="")])
    assert Pca.load(wanted.pca_file).digest == four.digest


def test_components_of_other_features_are_refused() -> None:
    pca = Pca(np.zeros(6, np.float32), np.zeros((2, 6), np.float32))
    with pytest.raises(DataError, match="for vectors of 6 values, got 4"):
        pca.apply(np.zeros((3, 4), np.float16))
