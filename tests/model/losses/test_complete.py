from dataclasses import replace

import oracles
import pytest
import torch

from model.data.chunks import Chunks
from model.encoding import Zones
from model.errors import ConfigError
from model.losses.complete import ChunkLosses, LossConfig, StackLoss
from model.networks.calf_config import Predictions

FRAMES, EDGE = 40, 6
ROWS = ((-8.0, -4.0, 5.0, 9.0), (-6.0, -2.0, 3.0, 12.0))
CONFIG = LossConfig(zones=Zones(ROWS), alpha2=4.0, beta=0.3)
ACTIONS = [[[10, 31], [20]], [[], [2, 17]], [[], []]]
"""Frames by chunk and class; frame 2 lies too close to the start to count."""


def chunks_of(actions: list[list[list[int]]], inside: int = FRAMES) -> Chunks:
    pairs = [[oracles.distances(frames, FRAMES) for frames in chunk] for chunk in actions]
    past, future = (
        torch.tensor([[pair[kind] for pair in chunk] for chunk in pairs], dtype=torch.int16).permute(2, 0, 1)
        for kind in (0, 1)
    )
    within = (torch.arange(FRAMES) < inside)[:, None].expand(-1, len(actions))
    return Chunks(torch.zeros(1, FRAMES, len(actions), 1), past[None], future[None], within[None])


def predictions_for(chunks: int, seed: int = 3) -> Predictions:
    generator = torch.Generator().manual_seed(seed)
    return Predictions(
        0.01 + 0.98 * torch.rand(FRAMES, chunks, 2, generator=generator),
        torch.rand(chunks, 4, 4, generator=generator),
    )


def losses_of(predictions: Predictions, chunks: Chunks, config: LossConfig = CONFIG) -> ChunkLosses:
    """Of one network."""
    stacked = Predictions(predictions.segmentation[None], predictions.spotting[None])
    return StackLoss([config], [EDGE], torch.device("cpu"))(stacked, chunks)


def is_counted(frame: int) -> bool:
    return EDGE <= frame < FRAMES - EDGE


def test_segmentation_loss_is_the_mean_of_equation_9_over_the_chunks() -> None:
    predictions = predictions_for(len(ACTIONS))
    computed = losses_of(predictions, chunks_of(ACTIONS)).segmentation
    total = 0.0
    for chunk, actions in enumerate(ACTIONS):
        shifts = [oracles.time_shift(frames, FRAMES, row) for frames, row in zip(actions, ROWS, strict=True)]
        scores = predictions.segmentation[:, chunk].tolist()
        by_frame = list(zip(*shifts, strict=True))
        total += oracles.segmentation_loss(scores, by_frame, ROWS, 0.9, 0.1, is_counted)
    assert float(computed) == pytest.approx(total / len(ACTIONS), rel=1e-5)


def test_spotting_loss_is_the_mean_of_equation_10_over_the_chunks() -> None:
    predictions = predictions_for(len(ACTIONS))
    computed = losses_of(predictions, chunks_of(ACTIONS)).spotting
    total = 0.0
    for actions, rows in zip(ACTIONS, predictions.spotting.tolist(), strict=True):
        vectors = [
            [1.0, frame / FRAMES, float(index == 0), float(index == 1)]
            for index, frames in enumerate(actions)
            for frame in frames
            if is_counted(frame)
        ]
        total += oracles.spotting_loss(vectors, rows, 4.0, 0.3)
    assert float(computed) == pytest.approx(total / len(ACTIONS), rel=1e-5)


def test_complete_loss_weighs_the_segmentation() -> None:
    losses = ChunkLosses(torch.tensor([2.0, 1.0]), torch.tensor([3.0, 1.0]))
    configs = [CONFIG, replace(CONFIG, lambda_seg=4.0)]
    assert float(StackLoss(configs, [EDGE] * 2, torch.device("cpu")).total(losses)) == 6.0 + 5.0


def test_frames_near_the_ends_of_a_chunk_get_no_gradient() -> None:
    predictions = predictions_for(len(ACTIONS))
    predictions.segmentation.requires_grad_()
    losses_of(predictions, chunks_of(ACTIONS)).segmentation.backward()
    slope = predictions.segmentation.grad
    assert slope is not None
    assert (slope[:EDGE] == 0).all() and (slope[-EDGE:] == 0).all()
    assert (slope[EDGE] != 0).any() and (slope[-EDGE - 1] != 0).any()


def test_actions_near_the_ends_of_a_chunk_are_not_to_be_spotted() -> None:
    predictions = predictions_for(1)
    near = losses_of(predictions, chunks_of([[[0, EDGE - 1, FRAMES - EDGE], []]])).spotting
    none = losses_of(predictions, chunks_of([[[], []]])).spotting
    inner = losses_of(predictions, chunks_of([[[EDGE], []]])).spotting
    assert near == none
    assert inner != none


def test_frames_past_the_end_of_a_half_cost_nothing_and_hold_no_action() -> None:
    predictions = predictions_for(1)
    short = chunks_of([[[20, 21, 22, 23], []]], inside=21)
    short.past[0, 20:, :, 0] = 0  # what repeats the last frame repeats its action
    predictions.segmentation.requires_grad_()
    losses = losses_of(predictions, short)
    losses.segmentation.backward()
    slope = predictions.segmentation.grad
    assert slope is not None
    assert (slope[21:] == 0).all() and (slope[:21] != 0).any()
    assert losses.spotting == losses_of(predictions, chunks_of([[[20], []]])).spotting


def test_losses_do_not_depend_on_the_number_of_chunks_in_the_batch() -> None:
    once, twice = chunks_of(ACTIONS), chunks_of(ACTIONS * 2)
    one = predictions_for(len(ACTIONS))
    two = Predictions(one.segmentation.repeat(1, 2, 1), one.spotting.repeat(2, 1, 1))
    first, second = losses_of(one, once), losses_of(two, twice)
    torch.testing.assert_close(first.segmentation, second.segmentation)
    torch.testing.assert_close(first.spotting, second.spotting)


def test_perfect_prediction_costs_nothing() -> None:
    actions = [[[10], [20]]]
    chunks = chunks_of(actions)
    just_after = chunks.past[0] < torch.tensor([ROWS[0][2], ROWS[1][2]])
    rows = [[1, 10 / FRAMES, 1, 0], [1, 20 / FRAMES, 0, 1], [0, 0.9, 0.5, 0.5], [0, 0.1, 0.5, 0.5]]
    predictions = Predictions(
        just_after.float(),
        torch.tensor([rows], dtype=torch.float32),
    )
    losses = losses_of(predictions, chunks)
    assert (float(losses.segmentation), float(losses.spotting)) == (0.0, 0.0)


def test_reading_the_losses_leaves_the_chunks_unchanged() -> None:
    chunks = chunks_of(ACTIONS)
    before = [chunks.past.clone(), chunks.future.clone(), chunks.inside.clone()]
    losses_of(predictions_for(len(ACTIONS)), chunks)
    for old, new in zip(before, (chunks.past, chunks.future, chunks.inside), strict=True):
        assert torch.equal(old, new)


@pytest.mark.parametrize(
    "wrong",
    [
        {"alpha2": -1.0},
        {"beta": float("nan")},
        {"lambda_seg": float("inf")},
        {"tau_min": 0.9},
        {"tau_max": 1.1},
        {"tau_min": -0.1},
    ],
)
def test_weights_and_margins_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        LossConfig(zones=Zones(ROWS), **wrong)
