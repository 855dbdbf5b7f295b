"""Tiling of halves and stitching of predictions against both published codes: equal, cell for cell.

The published codes decode a location t as frame floor(t (N_F - 1)), which can be the one before that of the
action whose target is t = frame / N_F. Predictions are therefore moved to the place of their frame first.
"""

import math

import numpy as np
import pytest
from parity.golden import Case, cases

from model.data.stores.store import Half
from model.inference.stitching import Tiling, stitch, tile
from model.spots import Spots

STITCHED = cases("5_*.npz", having=["in_num_frames", "in_chunk_size", "in_receptive_field", "in_spotting"])
TABLES = cases("5_*.npz", having=["N_nfed_nconsumed_srcstart_deststart"])
SOURCES = {"pt": "pt_timestamps_long", "keras": "keras_timestamps"}


def tiling_of(frames: int, chunk_frames: int, receptive_field: int) -> Tiling:
    """Our chunks of one half; half of an odd receptive field is rounded down, as the published codes do."""
    half = Half("game", 1, 0, frames)
    return tile((half,), chunk_frames=chunk_frames, edge_frames=receptive_field // 2)


def tiling_for(case: Case) -> Tiling:
    return tiling_of(*(case.number(f"in_{size}") for size in ("num_frames", "chunk_size", "receptive_field")))


def decoded(case: Case) -> np.ndarray:
    """Predictions of the chunks that are written, each located at the frame of the published decode."""
    chunk_frames = case.number("in_chunk_size")
    predictions = case["in_spotting"][: len(tiling_for(case).chunks)].copy()
    frame = np.floor(predictions[..., 1] * np.float32(chunk_frames - 1))
    predictions[..., 1] = frame / np.float32(chunk_frames)
    return predictions


def cells(predictions: np.ndarray) -> np.ndarray:
    """(chunks, predictions, 2): place in the chunk and class."""
    return np.stack([predictions[..., 1], predictions[..., 2:].argmax(axis=-1)], axis=-1)


def is_overwritten(predictions: np.ndarray) -> np.ndarray:
    """(chunks, predictions): whether a later prediction of the chunk falls into the same cell."""
    place = cells(predictions)
    same = (place[:, :, None] == place[:, None]).all(axis=-1)
    return np.triu(same, k=1).any(axis=2)


def silenced(predictions: np.ndarray) -> np.ndarray:
    """Predictions without those that the published codes overwrite: they are moved on the last that stays."""
    left = predictions.copy()
    for chunk, row in np.argwhere(is_overwritten(predictions)):
        place = cells(predictions)[chunk]
        left[chunk, row] = predictions[chunk, np.flatnonzero((place == place[row]).all(axis=1))[-1]]
    return left


def dense(spots: Spots, shape: tuple[int, ...]) -> np.ndarray:
    """Confidence of every frame and class, -1 without a spot, as the published codes hold it."""
    scores = np.full(shape, -1.0, dtype=np.float32)
    scores[spots.frame, spots.class_index] = spots.score
    return scores


def stitched(predictions: np.ndarray, case: Case) -> np.ndarray:
    spots = stitch(predictions, tiling_for(case), case.number("in_chunk_size"))
    return dense(spots, (case.number("in_num_frames"), predictions.shape[-1] - 2))


def owned(per_frame: np.ndarray, tiling: Tiling) -> np.ndarray:
    """What every frame of the half gets from the chunk that speaks for it."""
    spans = zip(per_frame, tiling.owned_from, tiling.owned_to, strict=False)
    return np.concatenate([chunk[first:stop] for chunk, first, stop in spans])


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("case", STITCHED)
def test_spots_of_a_half_are_the_published_ones_when_no_chunk_names_a_cell_twice(
    case: Case, source: str
) -> None:
    np.testing.assert_array_equal(stitched(silenced(decoded(case)), case), case[SOURCES[source]])


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("case", STITCHED)
def test_where_a_chunk_names_a_cell_twice_the_more_confident_stays_and_not_the_later(
    case: Case, source: str
) -> None:
    ours, theirs = stitched(decoded(case), case), case[SOURCES[source]]
    predictions, starts = decoded(case), tiling_for(case).chunks.start
    named_twice = np.zeros(ours.shape, dtype=bool)
    for chunk, row in np.argwhere(is_overwritten(predictions)):
        place, class_index = cells(predictions)[chunk, row]
        named_twice[round(starts[chunk] + place * case.number("in_chunk_size")), int(class_index)] = True
    np.testing.assert_array_equal(ours[~named_twice], theirs[~named_twice])
    assert (ours >= theirs)[named_twice].all()


@pytest.mark.parametrize("case", STITCHED)
def test_decoded_frame_is_that_of_the_target_or_the_one_before(case: Case) -> None:
    chunk_frames = case.number("in_chunk_size")
    location = np.arange(chunk_frames) / chunk_frames
    early = np.arange(chunk_frames) - np.floor(location * (chunk_frames - 1))
    assert set(early) <= {0.0, 1.0}


@pytest.mark.parametrize("case", STITCHED)
def test_chunks_lie_where_both_published_codes_write_theirs(case: Case) -> None:
    starts = tiling_for(case).chunks.start
    np.testing.assert_array_equal(starts, case["keras_chunk_start"])
    np.testing.assert_array_equal(starts, case["pt_dest_start"])


def frames_too_early(frames: int, chunk_frames: int, receptive_field: int) -> int:
    """How much too early the re-release writes its last chunk: it takes the one before the last it cut."""
    over = (frames - 1) % (chunk_frames - receptive_field)
    return receptive_field - 1 - over if 0 < over < receptive_field else 0


@pytest.mark.parametrize("case", STITCHED)
def test_re_release_reads_chunks_where_ours_lie_but_for_the_last_of_some_lengths(case: Case) -> None:
    frames, chunk_frames, receptive_field = (
        case.number(f"in_{size}") for size in ("num_frames", "chunk_size", "receptive_field")
    )
    if receptive_field % 2:
        pytest.skip("the re-release cuts and writes chunks of an odd receptive field at different steps")
    starts = tiling_for(case).chunks.start
    read = case["pt_clip_first_frame"][: len(starts)]
    np.testing.assert_array_equal(read[:-1], starts[:-1])
    assert read[-1] - starts[-1] == frames_too_early(frames, chunk_frames, receptive_field)
    last_frames = np.minimum(case["pt_clip_first_frame"] + chunk_frames, frames) - 1
    np.testing.assert_array_equal(case["pt_clip_last_frame"], last_frames)


@pytest.mark.parametrize("case", STITCHED)
def test_every_frame_takes_the_segmentation_of_the_chunk_that_speaks_for_it(case: Case) -> None:
    output = owned(case["in_segmentation"], tiling_for(case))
    np.testing.assert_array_equal((1.0 - output).astype(np.float16), case["keras_segmentation_score"])
    most = np.eye(output.shape[1], dtype=np.uint8)[output.argmax(axis=1)]
    np.testing.assert_array_equal(most, case["pt_segmentation_long"])


def sizes_of(table: np.ndarray) -> tuple[int, int]:
    """N_F and r behind a table of lengths: the last chunk ends with the half; steps are N_F - r."""
    frames, cut = table[:, 0], table[:, 1]
    (chunk_frames,) = np.unique(frames - table[:, 4])
    (step,) = np.unique(np.diff(frames[1:][np.diff(cut) > 0]))
    return int(chunk_frames), int(chunk_frames - step)


@pytest.mark.parametrize("case", TABLES)
def test_halves_of_any_length_get_as_many_chunks_as_the_re_release_writes(case: Case) -> None:
    table = case["N_nfed_nconsumed_srcstart_deststart"]
    sizes = sizes_of(table)
    for frames, _, written, _, start in table.tolist():
        starts = tiling_of(frames, *sizes).chunks.start
        assert (len(starts), starts[-1]) == (written, start)


@pytest.mark.parametrize("case", TABLES)
def test_re_release_cuts_one_chunk_too_many_for_exactly_the_lengths_at_which_its_last_is_wrong(
    case: Case,
) -> None:
    table = case["N_nfed_nconsumed_srcstart_deststart"]
    chunk_frames, receptive_field = sizes_of(table)
    for frames, cut, written, read, start in table.tolist():
        early = frames_too_early(frames, chunk_frames, receptive_field)
        assert read - start == early
        assert cut == math.ceil((frames - 1) / (chunk_frames - receptive_field))
        over = (frames - 1) % (chunk_frames - receptive_field)
        assert cut - written == (0 < over < receptive_field)
