"""Weights: the network that the file holds, or an error that names the file; nothing in it runs."""

import io
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import h5py
import torch
from fuzz.broken import damaged, mutated
from fuzz.cases import FUZZ, outcome
from hypothesis import given
from hypothesis import strategies as st
from weights.published_files import pytorch_state, small_network, write_keras

from model.errors import DataError, UserError
from model.training.checkpoint import FORMAT
from model.weights.importing import import_published
from model.weights.trained import TrainedNetwork

WEIGHTS = small_network().state_dict()
CONTENT = {
    "format": FORMAT,
    "network_config": asdict(small_network().config),
    "classes": ["goal", "card", "substitution"],
    "frame_rate": 2.0,
    "zones_frames": [[-4.0, -2.0, 2.0, 4.0]] * 3,
    "origin": "study",
}


def published(kind: str) -> bytes:
    """A whole file of the original code or of the re-release."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "weights")
        if kind == "keras":
            write_keras(path, small_network())
        else:
            torch.save({"state_dict": pytorch_state(small_network())}, path)
        return path.read_bytes()


class Content(bytes):
    """Bytes of a file that a report of a failure shows in one line."""

    def __repr__(self) -> str:
        return f"{len(self)} bytes, {self[:40]!r}..."


def checkpoint(content: Any) -> bytes:
    """A file of ``torch.save`` with the weights of a small network among ``content``."""
    buffer = io.BytesIO()
    whole = {**content, "network": WEIGHTS} if isinstance(content, dict) else content
    torch.save(whole, buffer)
    return buffer.getvalue()


sound = st.just(CONTENT)
trained_files = st.one_of(
    sound.map(checkpoint),
    mutated(sound).map(checkpoint),
    damaged(sound.map(checkpoint)),
    st.binary(max_size=99),
)
published_files = st.sampled_from([published("keras"), published("pytorch")])


@FUZZ
@given(trained_files.map(Content))
def test_trained_network_is_read_or_an_error_names_the_file(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "best.pt")
        file.write_bytes(content)
        came = outcome(lambda: TrainedNetwork.load(file))
    if isinstance(came, UserError):
        assert isinstance(came, DataError)
        assert str(file) in str(came)
        return
    assert len(came.classes) == came.network.config.classes
    assert all(isinstance(name, str) for name in came.classes)
    with torch.no_grad():
        came.network.eval()(torch.zeros(came.network.config.chunk_frames, 1, came.network.config.input_size))


@FUZZ
@given(st.one_of(published_files, damaged(published_files), st.binary(max_size=99)).map(Content))
def test_published_weights_are_read_or_an_error_names_the_file(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "weights")
        file.write_bytes(content)
        came = outcome(lambda: import_published(file))
    if isinstance(came, UserError):
        assert isinstance(came, DataError)
        assert str(file) in str(came)
        return
    assert all(bool(value.isfinite().all()) for value in came.network.state_dict().values())


names = st.sampled_from(
    ("conv2d/kernel", "conv2d_1/bias", "kernel", "model_weights", "batch_normalization/gamma")
)


@FUZZ
@given(st.dictionaries(names, st.sampled_from(("text", [1, 2], 1.5, b"x", [[1.0]], [])), max_size=4))
def test_any_hdf5_file_is_an_error_unless_it_holds_the_network(content: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "weights.h5")
        with h5py.File(path, "w") as file:
            for name, value in content.items():
                file[name] = value
        came = outcome(lambda: import_published(path))
        assert isinstance(came, DataError)
        assert str(path) in str(came)
