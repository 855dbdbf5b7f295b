import itertools

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from model.encoding import Zones
from model.inference.clips import (
    Clip,
    Moment,
    cut_clips,
    high_sequences,
    spotted_moments,
    without_actions,
)
from model.losses.complete import LossConfig, StackLoss
from model.networks.calf import CalfNetwork
from model.networks.calf_config import NetworkConfig
from model.spots import Spots
from model.timeline import FrameRate

RATE = FrameRate(2.0)


def moment(half: int, start_s: float, stop_s: float, score: float = 0.5) -> Moment:
    return Moment(kind="sequence", half=half, class_index=0, start_s=start_s, stop_s=stop_s, score=score)


def sequences(scores: list[float], *, edge_frames: int = 0, least: float = 0.5) -> list[tuple[float, float]]:
    halves = (np.array(scores, dtype=np.float32)[:, None],)
    found = high_sequences(halves, [0], least_score=least, edge_frames=edge_frames, frame_rate=RATE)
    return [(part.start_s, part.stop_s) for part in found]


def spans(clips: list[Clip]) -> list[tuple[int, float, float]]:
    return [(clip.half, clip.start_s, clip.stop_s) for clip in clips]


moments = st.lists(
    st.builds(
        lambda half, start, length: moment(half, start / 2, (start + length) / 2),
        st.integers(0, 1),
        st.integers(0, 160),
        st.integers(0, 20),
    ),
    max_size=12,
)


@given(moments, st.integers(0, 30), st.integers(0, 30))
def test_clips_show_exactly_what_lies_around_a_moment(found, before: int, after: int) -> None:
    lengths_s = (90.0, 85.0)
    clips = cut_clips(found, lengths_s, before_s=before, after_s=after)
    for half, length_s in enumerate(lengths_s):
        # Quarters of a second between the places where anything can begin or end.
        for time_s in np.arange(0.125, length_s, 0.25):
            wanted = any(
                part.half == half and part.start_s - before < time_s < part.stop_s + after for part in found
            )
            shown = [clip for clip in clips if clip.half == half and clip.start_s < time_s < clip.stop_s]
            assert len(shown) == wanted


@given(moments, st.integers(0, 30), st.integers(0, 30), st.randoms())
def test_clips_are_in_order_apart_and_hold_every_moment_once(found, before: int, after: int, random) -> None:
    clips = cut_clips(found, (90.0, 90.0), before_s=before, after_s=after)
    for one, other in itertools.pairwise(clips):
        assert (one.half, one.stop_s) < (other.half, other.start_s)
    held = [part for clip in clips for part in clip.moments]
    assert sorted(map(id, held)) == sorted(map(id, found))
    shuffled = random.sample(found, len(found))
    assert spans(cut_clips(shuffled, (90.0, 90.0), before_s=before, after_s=after)) == spans(clips)


def test_margins_are_those_of_the_paper_and_end_with_the_half() -> None:
    found = [moment(1, 5.0, 5.0), moment(0, 100.0, 110.0), moment(1, 2690.0, 2690.0)]
    clips = cut_clips(found, (2700.0, 2700.0), before_s=15.0, after_s=20.0)
    assert spans(clips) == [(0, 85.0, 130.0), (1, 0.0, 25.0), (1, 2675.0, 2700.0)]


def test_clip_has_the_highest_score_of_its_moments() -> None:
    (clip,) = cut_clips(
        [moment(0, 10, 11, 0.6), moment(0, 12, 13, 0.9), moment(0, 14, 15, 0.7)],
        (90.0,),
        before_s=5,
        after_s=5,
    )
    assert clip.score == 0.9 and len(clip.moments) == 3


def test_sequences_are_the_runs_of_scores_that_reach_the_threshold() -> None:
    assert sequences([0.5, 0.6, 0.4, 0.1, 0.9]) == [(0.0, 1.0), (2.0, 2.5)]
    assert sequences([0.5, 0.6, 0.4, 0.1, 0.9], least=0.55) == [(0.5, 1.0), (2.0, 2.5)]
    assert sequences([0.1] * 4) == []


@given(st.lists(st.sampled_from([0.2, 0.5, 0.8]), max_size=40), st.integers(0, 25))
def test_frames_near_the_ends_of_a_half_make_no_sequence(scores: list[float], edge_frames: int) -> None:
    high = {
        int(2 * time) for a, b in sequences(scores, edge_frames=edge_frames) for time in np.arange(a, b, 0.5)
    }
    inner = range(edge_frames, len(scores) - edge_frames)
    assert high == {frame for frame in inner if scores[frame] >= 0.5}


def test_segmentation_loss_teaches_nothing_near_the_ends_of_a_chunk() -> None:
    """Why their scores are not looked at: no weight of these places has a slope."""
    config = NetworkConfig(
        input_size=4, classes=2, class_features=3, receptive_field_frames=12, chunk_frames=40
    )
    network = CalfNetwork(config, torch.Generator().manual_seed(3))
    features = torch.randn(40, 5, 4, generator=torch.Generator().manual_seed(4))
    from model.data.chunks import Chunks

    far = torch.full((1, 40, 5, 2), 30000, dtype=torch.int16)
    chunks = Chunks(features[None], far, -far, torch.ones(1, 40, 5, dtype=torch.bool))
    loss = StackLoss(
        [LossConfig(zones=Zones(((-8.0, -4.0, 4.0, 8.0),) * 2))], [config.edge_frames], torch.device("cpu")
    )
    network.train()
    predictions, _ = network.computation().learn(features[None], None)
    loss(predictions, chunks).segmentation.sum().backward()
    slope = network.norm.weight.grad
    assert slope is not None and config.edge_frames == 6
    assert (slope[:6] == 0).all() and (slope[-6:] == 0).all() and (slope[6:-6] != 0).all()


def test_spots_count_from_the_confidence_of_their_class() -> None:
    spots = Spots(
        np.array([0, 0, 1, 1]),
        np.array([10, 20, 30, 40]),
        np.array([0, 1, 0, 2]),
        np.array([0.5, 0.7, 0.49, 0.99], dtype=np.float32),
    )
    found = spotted_moments(spots, {0: 0.5, 1: 0.6}, RATE)
    assert [(part.half, part.class_index, part.start_s, part.stop_s) for part in found] == [
        (0, 0, 5.0, 5.0),
        (0, 1, 10.0, 10.0),
    ]
    assert spotted_moments(spots, {0: 0.6}, RATE) == []


def test_clips_that_show_an_action_are_no_opportunity() -> None:
    clips = cut_clips(
        [moment(0, 100, 110), moment(0, 300, 310), moment(1, 100, 110)], (900, 900), before_s=15, after_s=20
    )
    kept = without_actions(clips, np.array([[0, 2 * 86], [1, 2 * 131]]), RATE)
    assert spans(kept) == [(0, 285.0, 330.0), (1, 85.0, 130.0)]
    assert without_actions(clips, np.empty((0, 2), dtype=np.int64), RATE) == clips
