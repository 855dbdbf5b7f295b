import numpy as np
import pytest
import torch
from stores import small_store

from model.data.chunks import Chunks, ChunkSource, load_chunks
from model.data.sampler import ChunkBatch

CPU = torch.device("cpu")
STORE = small_store([30, 12, 25], [(0, 7, 0), (0, 20, 1), (1, 11, 0), (2, 3, 1)], dtype=np.float16)


def load(half: list[int], start: list[int], dtype: torch.dtype = torch.float32) -> Chunks:
    return load_chunks(STORE, ChunkBatch(np.array(half), np.array(start)), 15, device=CPU, dtype=dtype)


def test_chunk_holds_its_frames_of_its_half_one_after_the_other() -> None:
    chunks = load([2, 0], [4, 15])
    for frame in range(15):
        for chunk, row in enumerate((30 + 12 + 4 + frame, 15 + frame)):
            assert chunks.features[0, frame, chunk].tolist() == STORE.features[row].tolist()
            assert chunks.past[0, frame, chunk].tolist() == STORE.past[row].tolist()
            assert chunks.future[0, frame, chunk].tolist() == STORE.future[row].tolist()
    assert chunks.inside.all()


def test_half_shorter_than_a_chunk_repeats_its_last_frame_outside() -> None:
    chunks = load([1], [0])
    assert chunks.inside[0, :, 0].tolist() == [True] * 12 + [False] * 3
    for frame in (12, 13, 14):
        assert chunks.features[0, frame, 0].tolist() == STORE.features[30 + 11].tolist()
        assert chunks.past[0, frame, 0].tolist() == STORE.past[30 + 11].tolist()


def test_features_come_in_the_type_asked_for() -> None:
    assert load([0], [0]).features.dtype == torch.float32
    assert load([0], [0], torch.bfloat16).features.dtype == torch.bfloat16


def test_writing_into_a_chunk_leaves_the_stored_arrays_unchanged() -> None:
    kept = [STORE.features.copy(), STORE.past.copy(), STORE.future.copy()]
    chunks = load([0, 0], [0, 0], torch.float32)
    for tensor in (chunks.features, chunks.past, chunks.future):
        tensor.zero_()
    for before, now in zip(kept, (STORE.features, STORE.past, STORE.future), strict=True):
        np.testing.assert_array_equal(before, now)


def test_batches_of_different_sizes_are_padded_and_say_where() -> None:
    source = ChunkSource(STORE, 15, device=CPU, dtype=torch.float32)
    batches = [ChunkBatch(np.array([0, 2]), np.array([3, 1])), ChunkBatch(np.array([2]), np.array([5]))]
    chunks = source.load(batches, 3)
    assert chunks.present is not None
    assert chunks.present.tolist() == [[True, True, False], [True, False, False]]
    for cohort, batch in enumerate(batches):
        alone = source.load([batch])
        assert alone.present is None
        assert torch.equal(chunks.features[cohort, :, : len(batch)], alone.features[0])
        assert torch.equal(chunks.past[cohort, :, : len(batch)], alone.past[0])


def test_data_that_find_no_room_on_the_device_stay_in_host_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes that start together each find it free."""

    def full(tensor: torch.Tensor, *_: object) -> torch.Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory")

    with monkeypatch.context() as patch:
        patch.setattr(torch.Tensor, "to", full)
        source = ChunkSource(STORE, 15, device=CPU, dtype=torch.float32)
    assert not source.is_resident
    batch = ChunkBatch(np.array([2]), np.array([4]))
    assert source.load([batch]).features[0, 0, 0].tolist() == STORE.features[30 + 12 + 4].tolist()


def test_stretch_holds_the_frames_of_overlapping_chunks_once() -> None:
    source = ChunkSource(STORE, 15, device=CPU, dtype=torch.float32)
    batches = [
        ChunkBatch(np.array([0, 0, 0, 1]), np.array([0, 8, 15, 0])),
        ChunkBatch(np.array([1, 2]), np.array([0, 6])),
        ChunkBatch(np.array([], dtype=np.int64), np.array([], dtype=np.int64)),
    ]
    chunks, apart = source.load_stretches(batches), source.load(batches)
    assert chunks.features.shape[:3] == (3, 30 + 12, 1), "from the first frame to the last of the longest"
    assert chunks.rows is not None and chunks.present is not None and apart.present is not None
    assert torch.equal(chunks.present, apart.present)
    for cohort, batch in enumerate(batches):
        read = chunks.features[cohort, :, 0][chunks.rows[cohort]]
        assert torch.equal(read[:, : len(batch)], apart.features[cohort, :, : len(batch)])
    for name in ("past", "future", "inside"):
        assert torch.equal(getattr(chunks, name), getattr(apart, name))
