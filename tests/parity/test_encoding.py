"""Time-shift encoding, targets and background against the published codes: equal, number for number."""

import numpy as np
import pytest
import torch
from parity.golden import Case, cases
from parity.published_step import target_rows

from model.data.sampler import background_intervals
from model.data.stores.distances import action_distances
from model.encoding import time_shift
from model.losses.segmentation import segmentation_loss_elements
from model.timeline import NO_FUTURE

ENCODED = cases("1_*.npz", having=["in_onehot", "in_K", "tse"])
WITH_TARGETS = cases("1_*.npz", having=["in_chunks_tse", "in_num_detections", "targets"])


def distances_of(case: Case) -> tuple[torch.Tensor, torch.Tensor]:
    frames, classes = case["in_onehot"].shape
    past, future = action_distances(np.argwhere(case["in_onehot"] == 1), frames=frames, classes=classes)
    return torch.from_numpy(past), torch.from_numpy(future)


def shifts_of(case: Case) -> np.ndarray:
    return time_shift(*distances_of(case), case.tensor("in_K").float()).numpy()


def is_far_behind_the_last_of_several(case: Case) -> np.ndarray:
    """Where the published codes count from an action that they imagine behind the end of the half."""
    past, future = (part.numpy() for part in distances_of(case))
    several = case["in_onehot"].sum(axis=0) >= 2
    return several & (future == NO_FUTURE) & (past >= case["in_K"][3])


@pytest.mark.parametrize("case", ENCODED)
def test_shift_of_a_frame_is_the_published_one(case: Case) -> None:
    compared = ~is_far_behind_the_last_of_several(case)
    assert compared.any()
    np.testing.assert_array_equal(shifts_of(case)[compared], case["tse"][compared])


@pytest.mark.parametrize("case", ENCODED)
def test_far_behind_the_last_action_the_published_shift_is_that_before_an_imagined_one(case: Case) -> None:
    frames, k1, k4 = len(case["tse"]), case["in_K"][0], case["in_K"][3]
    imagined = np.arange(frames)[:, None] - (frames - k1)
    far = is_far_behind_the_last_of_several(case)
    np.testing.assert_array_equal(case["tse"][far], imagined[far])
    assert (imagined <= k1)[far].all()
    assert (shifts_of(case) >= k4)[far].all()


@pytest.mark.parametrize("form", ["paper", "published-2020"])
@pytest.mark.parametrize("case", ENCODED)
def test_every_frame_costs_what_it_costs_with_the_published_shift(case: Case, form) -> None:
    zones = case.tensor("in_K").float()
    ours, theirs = (torch.from_numpy(part).float() for part in (shifts_of(case), case["tse"]))
    score = torch.rand(ours.shape, generator=torch.Generator().manual_seed(1))
    costs = [
        segmentation_loss_elements(score, shift, zones, tau_max=0.9, tau_min=0.1, form=form)
        for shift in (ours, theirs)
    ]
    assert torch.equal(*costs)


def far_intervals(case: Case, chunk_frames: int) -> list[list[int]]:
    """First and one past the last frame of stretches of a chunk or more that are far from all actions."""
    shift = shifts_of(case)
    far = ((shift <= case["in_K"][0]) | (shift >= case["in_K"][3])).all(axis=1)
    borders = np.flatnonzero(np.diff(np.concatenate([[False], far, [False]]).astype(int)))
    intervals = borders.reshape(-1, 2)
    return intervals[intervals[:, 1] - intervals[:, 0] >= chunk_frames].tolist()


@pytest.mark.parametrize("case", ENCODED)
def test_frames_far_from_all_actions_are_the_published_background(case: Case) -> None:
    published = case.numbered("neg_index_chunk")
    assert published
    for chunk_frames, intervals in published.items():
        assert far_intervals(case, chunk_frames) == intervals.tolist()


@pytest.mark.parametrize("case", ENCODED)
def test_every_published_background_chunk_is_one_of_ours(case: Case) -> None:
    """Ours only have to be free of actions, so that they are the same for every trial of a study."""
    frames = len(case["in_onehot"])
    actions = np.flatnonzero(case["in_onehot"].any(axis=1))
    for chunk_frames, intervals in case.numbered("neg_index_chunk").items():
        ours = background_intervals(actions, max(0, frames - chunk_frames), chunk_frames)
        for first, stop in intervals:
            assert ((ours[:, 0] <= first) & (stop - chunk_frames < ours[:, 1])).any()


@pytest.mark.parametrize("case", WITH_TARGETS)
def test_targets_of_a_chunk_are_the_published_ones_in_the_same_order(case: Case) -> None:
    is_action = case.tensor("in_chunks_tse").transpose(0, 1) == 0
    computed = target_rows(is_action, case.number("in_num_detections"))
    np.testing.assert_allclose(computed.numpy(), case["targets"], rtol=0, atol=1e-7)
