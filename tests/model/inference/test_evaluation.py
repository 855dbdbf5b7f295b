from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from stores import small_store
from torch import Tensor

from model.data.chunks import ChunkSource, load_chunks
from model.data.stores.store import Store
from model.encoding import Zones
from model.errors import DataError
from model.inference import evaluation
from model.inference.evaluation import Evaluation, evaluate, find_segmentation, find_spots
from model.inference.stitching import tile
from model.losses.complete import LossConfig, StackLoss
from model.metrics.average_map import average_map
from model.networks.calf import CalfNetwork
from model.networks.calf_config import NetworkConfig, Predictions
from model.networks.forward import Statistics
from model.networks.stack import Stack

CPU, GPU = torch.device("cpu"), torch.device("cuda")
LOSS = LossConfig(zones=Zones(((-8.0, -4.0, 4.0, 8.0),) * 2))
CONFIG = NetworkConfig(
    input_size=2, classes=2, class_features=3, receptive_field_frames=8, chunk_frames=40, predictions=20
)
HALVES = [130, 95, 25]
# At the ends of halves and of what a chunk owns; far enough apart for the widest suppression.
ACTIONS = [(0, 0, 0), (0, 35, 1), (0, 68, 0), (0, 129, 1), (1, 50, 0), (2, 24, 1)]


class ReadingStack(Stack):
    """Reads the actions out of its features, where the tests wrote them."""

    def __init__(
        self, networks: list[CalfNetwork], device: torch.device, cohorts: Sequence[int] = ()
    ) -> None:
        super().__init__(networks, device, cohorts)
        self.forward = self._read

    def _read(self, features: Tensor, statistics: Statistics, rows: Tensor) -> Predictions:
        features = features[:, :, 0][:, rows[0]]
        _, frames, batch, classes = features.shape
        spotting = torch.zeros(1, batch, CONFIG.predictions, 2 + classes)
        for chunk in range(batch):
            for slot, (frame, index) in enumerate(features[0, :, chunk].nonzero().tolist()):
                spotting[0, chunk, slot, 0] = 1.0
                spotting[0, chunk, slot, 1] = frame / frames
                spotting[0, chunk, slot, 2 + index] = 1.0
        return Predictions(torch.zeros(1, frames, batch, classes), spotting)


def written_store() -> Store:
    features = np.zeros((sum(HALVES), 2), dtype=np.float32)
    first = np.cumsum([0, *HALVES])
    for half, frame, index in ACTIONS:
        features[first[half] + frame, index] = 1.0
    return small_store(HALVES, ACTIONS, features=features, split="valid")


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def evaluate_on(network: CalfNetwork, store: Store) -> Evaluation:
    source = ChunkSource(store, CONFIG.chunk_frames, device=CPU, dtype=torch.float32)
    (result,) = evaluate([network], source, [LOSS], device=CPU)
    return result


def test_network_that_knows_the_actions_scores_one_wherever_they_lie(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(evaluation, "Stack", ReadingStack)
    result = evaluate_on(CalfNetwork(CONFIG, generator()), written_store())
    assert result.score.per_class == (1.0, 1.0)
    loud = result.spots[result.spots.score > 0]
    found = zip(loud.half, loud.frame, loud.class_index, strict=True)
    assert sorted((int(h), int(f), int(c)) for h, f, c in found) == sorted(ACTIONS)


def test_outputs_that_are_no_numbers_are_an_error_that_names_the_half() -> None:
    store = small_store(HALVES, ACTIONS, dims=2)
    half = store.halves[1]
    features = np.array(store.features, dtype=np.float32)
    features[half.first_frame + 50 : half.first_frame + half.frames] = 3e38
    network = CalfNetwork(CONFIG, generator()).eval()
    with pytest.raises(DataError, match=rf"frame \d+ of half {half.number} of {half.game} .* reach 3e\+38"):
        find_spots(network, replace(store, features=features), precision="float32", device=CPU)
    assert len(find_spots(network, store, precision="float32", device=CPU))


def test_evaluation_counts_spots_within_its_tolerances() -> None:
    store = written_store()
    source = ChunkSource(store, CONFIG.chunk_frames, device=CPU, dtype=torch.float32)
    network, tight = CalfNetwork(CONFIG, generator()), (1.0, 2.0)
    (result,) = evaluate([network], source, [LOSS], device=CPU, tolerances_s=tight)
    options = {"classes": 2, "frame_rate": store.frame_rate, "tolerances_s": tight}
    assert result.score.tolerances_s == tight
    assert result.score.per_class == average_map(result.spots, store.actions, **options).per_class


def test_segmentation_of_a_half_is_what_the_network_says_of_the_chunk_around_each_frame() -> None:
    store = small_store(HALVES, ACTIONS, dims=2)
    network = CalfNetwork(CONFIG, generator()).eval()
    halves = find_segmentation(network, store, precision="float32", device=CPU)
    assert [half.shape for half in halves] == [(frames, 2) for frames in HALVES]
    batch = tile(store.halves, chunk_frames=40, edge_frames=4).chunks
    with torch.no_grad():
        chunks = load_chunks(store, batch, 40, device=CPU, dtype=torch.float32)
        said = network.computation()(chunks.features, network.running_statistics()).segmentation[0]
    for half, frame in [(0, 0), (0, 35), (0, 70), (1, 94), (2, 0), (2, 24)]:
        spoken = [
            said[frame - start, index].tolist()
            for index, start in enumerate(batch.start.tolist())
            if batch.half[index] == half and 0 <= frame - start < 40
        ]
        assert any(halves[half][frame].tolist() == pytest.approx(scores, abs=1e-6) for scores in spoken)


def test_losses_are_means_over_the_chunks_that_tile_the_halves() -> None:
    store = small_store(HALVES, ACTIONS, dims=2)
    network = CalfNetwork(CONFIG, generator()).eval()
    result = evaluate_on(network, store)
    batch = tile(store.halves, chunk_frames=40, edge_frames=4).chunks
    chunks = load_chunks(store, batch, 40, device=CPU, dtype=torch.float32)
    with torch.no_grad():
        predictions = network.computation()(chunks.features, network.running_statistics())
    losses = StackLoss([LOSS], [4], CPU)(predictions, chunks)
    assert result.segmentation_loss == pytest.approx(float(losses.segmentation), rel=1e-5)
    assert result.spotting_loss == pytest.approx(float(losses.spotting), rel=1e-5)


@pytest.mark.parametrize(
    ("limit", "value", "largest"),
    [("CHUNKS_AT_ONCE", 3, 3), ("FRAMES_AT_ONCE", 99, 2), ("FRAMES_AT_ONCE", 9, 1)],
)
def test_result_does_not_depend_on_how_many_chunks_go_through_at_once(
    monkeypatch: pytest.MonkeyPatch, limit: str, value: int, largest: int
) -> None:
    store, network = small_store(HALVES, ACTIONS, dims=2), CalfNetwork(CONFIG, generator())
    at_once = evaluate_on(network, store)
    monkeypatch.setattr(evaluation, limit, value)
    assert evaluation._chunks_at_once([network], CPU) == largest
    in_parts = evaluate_on(network, store)
    np.testing.assert_array_equal(at_once.spots.frame, in_parts.spots.frame)
    np.testing.assert_allclose(at_once.spots.score, in_parts.spots.score, rtol=1e-5)
    assert at_once.segmentation_loss == pytest.approx(in_parts.segmentation_loss, rel=1e-5)
    assert at_once.spotting_loss == pytest.approx(in_parts.spotting_loss, rel=1e-5)


def test_evaluation_changes_no_weight_and_keeps_no_gradient() -> None:
    network = CalfNetwork(CONFIG, generator())
    before = {name: value.clone() for name, value in network.state_dict().items()}
    evaluate_on(network, small_store(HALVES, ACTIONS, dims=2))
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())


def test_evaluation_uses_the_running_statistics() -> None:
    store, network = small_store(HALVES, ACTIONS, dims=2), CalfNetwork(CONFIG, generator())
    first = evaluate_on(network.train(), store)
    network.norm.running_mean += 1.0
    assert evaluate_on(network, store).segmentation_loss != first.segmentation_loss


def network_of(receptive_field_frames: int, seed: int) -> CalfNetwork:
    config = replace(CONFIG, receptive_field_frames=receptive_field_frames, class_features=2 + seed)
    return CalfNetwork(config, torch.Generator().manual_seed(seed)).eval()


@pytest.mark.parametrize("at_once", [64, 4])
def test_networks_with_other_r_are_scored_together_as_each_is_scored_alone(
    monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    """What a GPU computes: one stack whose networks read the chunks of their own tilings."""
    store = small_store(HALVES, ACTIONS, dims=2)
    networks = [network_of(r, seed) for seed, r in enumerate((8, 12, 10, 12))]
    alone = [evaluate_on(network, store) for network in networks]
    groups = evaluation._groups(networks, store, GPU)
    assert [[cohort.networks for cohort in group] for group in groups] == [[[0], [2], [1, 3]]]
    monkeypatch.setattr(evaluation, "_groups", lambda *_: groups)
    monkeypatch.setattr(evaluation, "group_for_device", lambda items, device: [list(items)])
    monkeypatch.setattr(evaluation, "CHUNKS_AT_ONCE", at_once)
    source = ChunkSource(store, CONFIG.chunk_frames, device=CPU, dtype=torch.float32)
    for ours, theirs in zip(evaluate(networks, source, [LOSS] * 4, device=CPU), alone, strict=True):
        np.testing.assert_array_equal(ours.spots.frame, theirs.spots.frame)
        np.testing.assert_allclose(ours.spots.score, theirs.spots.score, rtol=1e-4)
        assert ours.segmentation_loss == pytest.approx(theirs.segmentation_loss, rel=1e-4)
        assert ours.spotting_loss == pytest.approx(theirs.spotting_loss, rel=1e-4)


def test_networks_with_many_more_chunks_are_scored_apart() -> None:
    store = small_store([2000], [(0, 10, 0)], dims=2)
    networks = [network_of(r, 0) for r in (2, 30, 4)]
    groups = evaluation._groups(networks, store, GPU)
    assert [[cohort.networks for cohort in group] for group in groups] == [[[0], [2]], [[1]]]
    assert [len(group) for group in evaluation._groups(networks, store, CPU)] == [1, 1, 1]


def test_forward_pass_on_a_gpu_takes_no_more_than_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    networks = [network_of(8, 0)] * 64
    free = 80 * 2**30
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free, 80 * 2**30))
    assert evaluation._chunks_at_once(networks, GPU) == evaluation.CHUNKS_AT_ONCE
    free = 2**24
    assert 1 <= evaluation._chunks_at_once(networks, GPU) < evaluation.CHUNKS_AT_ONCE
    free = 0
    assert evaluation._chunks_at_once(networks, GPU) == 1
