import gc
import math
import weakref

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tensors import draw_numbers
from torch import nn

from model.errors import ConfigError
from model.networks import spectral
from model.networks.calf import CalfNetwork
from model.networks.calf_config import NetworkConfig
from model.networks.stack import Stack


def network_of(seed: int = 0, **sizes: int) -> CalfNetwork:
    return CalfNetwork(NetworkConfig(**sizes), torch.Generator().manual_seed(seed))


def small_network(seed: int = 0) -> CalfNetwork:
    return network_of(
        seed,
        input_size=5,
        classes=2,
        class_features=3,
        receptive_field_frames=8,
        chunk_frames=60,
        predictions=3,
    )


def segmented(network: CalfNetwork, columns: torch.Tensor) -> torch.Tensor:
    """Scores in evaluation."""
    return network.computation().segment(columns[None], network.running_statistics())[0].detach()


@pytest.mark.parametrize(("chunk_frames", "longest"), [(240, 238), (239, 238), (241, 240)])
def test_longest_receptive_field_is_the_one_that_the_error_names(chunk_frames: int, longest: int) -> None:
    assert NetworkConfig(
        input_size=5, classes=2, receptive_field_frames=longest, chunk_frames=chunk_frames
    ).edge_frames == (longest // 2)
    with pytest.raises(ConfigError, match=rf"must have 2 to {longest} frames, .* got {longest + 1}"):
        NetworkConfig(input_size=5, classes=2, receptive_field_frames=longest + 1, chunk_frames=chunk_frames)


@pytest.mark.parametrize(
    ("classes", "predictions", "f", "r", "parameters"),
    [
        (3, 5, 16, 40, 221537),
        (3, 5, 16, 80, 332129),
        (3, 5, 16, 120, 442721),
        (3, 5, 16, 160, 553569),
        (3, 5, 8, 80, 318857),
        (3, 5, 32, 80, 358673),
        (17, 15, 16, 80, 578245),
    ],
)
def test_network_has_as_many_parameters_as_the_published_one(
    classes: int, predictions: int, f: int, r: int, parameters: int
) -> None:
    network = network_of(
        input_size=512, classes=classes, predictions=predictions, class_features=f, receptive_field_frames=r
    )
    assert sum(parameter.numel() for parameter in network.parameters()) == parameters


@settings(max_examples=30)
@given(st.data())
def test_network_of_any_size_gives_scores_locations_and_class_probabilities(data: st.DataObject) -> None:
    frames = data.draw(st.integers(15, 50), "chunk_frames")
    classes, predictions = (
        data.draw(st.integers(1, 4), "classes"),
        data.draw(st.integers(1, 4), "predictions"),
    )
    network = network_of(
        input_size=data.draw(st.integers(1, 5), "input_size"),
        classes=classes,
        class_features=data.draw(st.integers(1, 5), "class_features"),
        receptive_field_frames=data.draw(st.integers(2, frames - 2), "receptive_field_frames"),
        chunk_frames=frames,
        predictions=predictions,
    )
    batch = data.draw(st.integers(1, 3), "batch")
    with torch.no_grad():
        output = network(10 * draw_numbers(1, frames, batch, network.config.input_size))
    assert output.segmentation.shape == (frames, batch, classes)
    assert output.spotting.shape == (batch, predictions, 2 + classes)
    for values in (output.segmentation, output.spotting):
        assert values.min() >= 0 and values.max() <= 1
    torch.testing.assert_close(output.spotting[..., 2:].sum(dim=-1), torch.ones(batch, predictions))


@given(st.integers(1, 64))
def test_segmentation_scores_stay_in_range_when_activations_saturate(f: int) -> None:
    network = network_of(
        input_size=1, classes=1, class_features=f, receptive_field_frames=2, chunk_frames=15, predictions=1
    ).eval()
    scores = segmented(network, 1e4 * torch.sign(draw_numbers(f, 15, 4, f)))
    assert scores.min() >= 0
    torch.testing.assert_close(scores, torch.zeros_like(scores), rtol=0, atol=1e-6)


def test_activations_at_the_cube_s_centre_score_one_and_keep_finite_gradients() -> None:
    network = small_network()
    nn.init.zeros_(network.class_features.kernel)
    output = network(draw_numbers(1, 60, 2, 5))
    torch.testing.assert_close(output.segmentation, torch.ones(60, 2, 2), rtol=0, atol=1e-5)
    (output.segmentation.square().sum() + output.spotting.square().sum()).backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name


def test_score_is_one_less_the_distance_from_the_centre_over_the_greatest_distance() -> None:
    network = small_network().eval()
    columns = draw_numbers(1, 60, 2, 6)
    active = torch.sigmoid(columns / math.sqrt(1 + 1e-3)).reshape(60, 2, 3, 2)
    distance = torch.linalg.norm(active - 0.5, dim=2)
    torch.testing.assert_close(segmented(network, columns), 1 - 2 * distance / math.sqrt(3))


def test_every_parameter_learns() -> None:
    network = small_network()
    output = network(draw_numbers(1, 60, 4, 5))
    (output.segmentation.square().sum() + output.spotting.square().sum()).backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None and (parameter.grad != 0).any(), name


def test_same_seed_draws_the_same_weights_and_another_seed_others() -> None:
    first, again, other = (small_network(seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["mlp_1.weight"], other["mlp_1.weight"])


def test_weights_are_drawn_glorot_uniform_and_biases_are_zero() -> None:
    network = network_of(input_size=64, classes=3)
    fans = {
        network.mlp_1.weight: 64 + 128,
        network.pyramid[3]: 80 * (32 + 64),
        network.class_features.kernel: 3 * (152 + 48),
        network.place.weight: 464 + 10,
    }
    for weight, fan in fans.items():
        bound = math.sqrt(6 / fan)
        assert 0.97 * bound < float(weight.detach().abs().max()) <= bound
        assert float(weight.detach().std()) == pytest.approx(bound / math.sqrt(3), rel=0.05)
    biases = [parameter for name, parameter in network.named_parameters() if "bias" in name]
    assert len(biases) == 9 and not any(bias.any() for bias in biases)


def test_chunks_of_a_batch_do_not_see_each_other_in_evaluation() -> None:
    network, features = small_network().eval(), draw_numbers(1, 60, 3, 5)
    with torch.no_grad():
        together, alone = network(features), network(features[:, 1:2])
    torch.testing.assert_close(together.segmentation[:, 1:2], alone.segmentation)
    torch.testing.assert_close(together.spotting[1:2], alone.spotting)


def test_score_of_a_frame_depends_on_features_within_the_receptive_field() -> None:
    network = network_of(input_size=5, classes=2, receptive_field_frames=10, chunk_frames=60).eval()
    features = draw_numbers(1, 60, 1, 5).requires_grad_()
    network(features).segmentation[30].sum().backward()
    assert features.grad is not None
    slope = features.grad.abs().amax(dim=(1, 2))
    # The longest kernel reaches 4 frames back and 5 ahead, the last convolution one more on either side.
    assert (slope[25:37] > 1e-3 * slope.max()).all()
    assert slope[:25].max() < 1e-5 * slope.max() and slope[37:].max() < 1e-5 * slope.max()


def test_network_runs_in_bfloat16_and_gives_outputs_in_float32() -> None:
    network, features = small_network().eval(), draw_numbers(1, 60, 2, 5)
    exact = network(features)
    rounded = network(features.bfloat16())
    assert rounded.segmentation.dtype == rounded.spotting.dtype == torch.float32
    torch.testing.assert_close(rounded.segmentation, exact.segmentation, rtol=0, atol=0.03)
    torch.testing.assert_close(rounded.spotting, exact.spotting, rtol=0, atol=0.03)


@pytest.mark.parametrize(
    "wrong",
    [
        {"input_size": 0},
        {"classes": 0},
        {"class_features": 0},
        {"predictions": 0},
        {"receptive_field_frames": 1},
        {"receptive_field_frames": 240},
        {"chunk_frames": 14, "receptive_field_frames": 4},
    ],
)
def test_sizes_that_no_network_can_have_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ConfigError):
        NetworkConfig(**{"input_size": 8, "classes": 3, **wrong})


def test_matrices_stay_as_long_as_a_stack_that_has_used_them() -> None:
    """A recording of the stack reads them at every replay, however many other stacks were made meanwhile."""
    stack, features = Stack([small_network()], torch.device("cpu")), draw_numbers(1, 1, 60, 1, 5)
    stack.forward(features, stack.statistics)
    matrices = weakref.ref(spectral.transform_for(draw_numbers(2, 1, 60, 1, 32), stack.weights["pyramid"]))
    for taps in range(100, 200):
        spectral._transform(60, taps, "cpu", torch.float32)
    gc.collect()
    assert matrices() is not None
    del stack
    gc.collect()
    assert matrices() is None
