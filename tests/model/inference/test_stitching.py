import numpy as np
import oracles
from hypothesis import example, given
from hypothesis import strategies as st

from model.data.stores.store import Half
from model.errors import ConfigError
from model.inference.stitching import Tiling, stitch, stitch_segmentation, tile
from model.networks.calf_config import NetworkConfig
from model.spots import Spots


def tiling_of(halves: list[int], chunk_frames: int, edge_frames: int) -> Tiling:
    entries = tuple(Half("game", 1, 0, frames) for frames in halves)
    return tile(entries, chunk_frames=chunk_frames, edge_frames=edge_frames)


def rows_of(spots: Spots) -> list[oracles.Detection]:
    columns = (spots.half, spots.frame, spots.class_index, spots.score)
    return [(int(h), int(f), int(c), float(np.float64(s))) for h, f, c, s in zip(*columns, strict=True)]


@st.composite
def sizes(draw: st.DrawFn) -> tuple[list[int], int, int]:
    """Frames of halves, N_F and r/2."""
    chunk_frames = draw(st.integers(5, 30))
    edge_frames = draw(st.integers(0, (chunk_frames - 1) // 2))
    return draw(st.lists(st.integers(1, 120), min_size=1, max_size=3)), chunk_frames, edge_frames


@given(sizes())
def test_every_frame_is_owned_by_exactly_one_chunk(size) -> None:
    halves, chunk_frames, edge_frames = size
    tiling = tiling_of(halves, chunk_frames, edge_frames)
    owners = [np.zeros(frames, dtype=int) for frames in halves]
    for half, start, first, stop in zip(
        tiling.chunks.half, tiling.chunks.start, tiling.owned_from, tiling.owned_to, strict=True
    ):
        assert 0 <= first < stop <= chunk_frames
        owners[half][start + first : start + stop] += 1
        assert start + stop <= halves[half]
    assert all((count == 1).all() for count in owners)


@given(sizes())
def test_owner_reads_half_the_receptive_field_around_a_frame_unless_the_half_ends(size) -> None:
    halves, chunk_frames, edge_frames = size
    tiling = tiling_of(halves, chunk_frames, edge_frames)
    for half, start, first, stop in zip(
        tiling.chunks.half, tiling.chunks.start, tiling.owned_from, tiling.owned_to, strict=True
    ):
        assert first >= edge_frames or start == 0
        assert chunk_frames - stop >= edge_frames or start + chunk_frames >= halves[half]


@given(sizes())
def test_chunks_lie_and_own_as_worked_out_frame_by_frame(size) -> None:
    halves, chunk_frames, edge_frames = size
    tiling = tiling_of(halves, chunk_frames, edge_frames)
    for half, frames in enumerate(halves):
        starts = oracles.chunk_starts(frames, chunk_frames, edge_frames)
        mine = tiling.chunks.half == half
        assert tiling.chunks.start[mine].tolist() == starts
        spans = zip(starts, tiling.owned_from[mine], tiling.owned_to[mine], strict=True)
        owned = [[*range(start + first, start + stop)] for start, first, stop in spans]
        for frame in range(frames):
            assert frame in owned[oracles.owner(frame, starts, edge_frames)]


@given(st.integers(15, 60).flatmap(lambda frames: st.tuples(st.just(frames), st.integers(2, frames - 1))))
@example((240, 239))
def test_every_network_that_can_be_built_can_tile_a_half(size: tuple[int, int]) -> None:
    chunk_frames, receptive_field = size
    try:
        config = NetworkConfig(
            input_size=1, classes=1, chunk_frames=chunk_frames, receptive_field_frames=receptive_field
        )
    except ConfigError:
        return
    tiling = tiling_of([500], chunk_frames, config.edge_frames)
    assert (tiling.owned_to - tiling.owned_from).sum() == 500


@given(sizes(), st.integers(0, 99))
def test_spots_are_those_on_frames_that_their_chunk_owns(size, seed: int) -> None:
    halves, chunk_frames, edge_frames = size
    tiling = tiling_of(halves, chunk_frames, edge_frames)
    predictions = np.random.default_rng(seed).random((len(tiling.chunks), 6, 4), dtype=np.float32)
    predictions[:, 0, 1], predictions[:, 1, 1] = 0.0, 1.0
    expected = oracles.stitch(halves, predictions.tolist(), chunk_frames, edge_frames)
    assert sorted(rows_of(stitch(predictions, tiling, chunk_frames))) == expected


@given(sizes())
def test_every_frame_has_the_segmentation_scores_of_its_owner(size) -> None:
    halves, chunk_frames, edge_frames = size
    tiling = tiling_of(halves, chunk_frames, edge_frames)
    # Each score tells the chunk and the frame in it.
    numbers = np.arange(len(tiling.chunks) * chunk_frames, dtype=np.float32)
    scores = np.stack([numbers, -numbers], axis=1).reshape(-1, chunk_frames, 2)
    entries = tuple(Half("game", 1, 0, frames) for frames in halves)
    stitched = stitch_segmentation(scores, tiling, entries)
    first_chunk = 0
    for frames, half in zip(halves, stitched, strict=True):
        starts = oracles.chunk_starts(frames, chunk_frames, edge_frames)
        owners = [oracles.owner(frame, starts, edge_frames) for frame in range(frames)]
        places = [
            (first_chunk + owner) * chunk_frames + frame - starts[owner] for frame, owner in enumerate(owners)
        ]
        assert half[:, 0].tolist() == places and half[:, 1].tolist() == [-place for place in places]
        first_chunk += len(starts)


def test_action_is_spotted_on_the_frame_that_its_target_names() -> None:
    tiling = tiling_of([240], 240, 40)
    location = np.arange(240, dtype=np.float32) / np.float32(240)
    predictions = np.zeros((1, 240, 3), dtype=np.float32)
    predictions[0, :, 1] = location
    assert stitch(predictions, tiling, 240).frame.tolist() == list(range(240))


def test_of_two_predictions_in_one_cell_the_more_confident_counts() -> None:
    predictions = np.array([[[0.75, 0.5, 1.0], [0.5, 0.5, 1.0]]], dtype=np.float32)
    assert rows_of(stitch(predictions, tiling_of([20], 20, 2), 20)) == [(0, 10, 0, 0.75)]


def test_spot_takes_its_most_probable_class() -> None:
    predictions = np.array([[[0.5, 0.5, 0.25, 0.5, 0.25]]], dtype=np.float32)
    assert stitch(predictions, tiling_of([20], 20, 2), 20).class_index.tolist() == [1]


def test_spots_past_the_end_of_a_short_half_are_dropped() -> None:
    predictions = np.array([[[0.5, 0.5, 1.0], [0.5, 0.9, 1.0]]], dtype=np.float32)
    assert stitch(predictions, tiling_of([15], 20, 2), 20).frame.tolist() == [10]
