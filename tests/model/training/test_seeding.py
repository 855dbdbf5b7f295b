import torch

from model.training.seeding import stream_seed, torch_stream


def test_stream_gives_the_same_numbers_again() -> None:
    first, again = (torch.rand(5, generator=torch_stream(3, "weights")) for _ in range(2))
    assert torch.equal(first, again)


def test_names_and_seeds_give_streams_of_their_own() -> None:
    seeds = {stream_seed(seed, name) for seed in range(20) for name in ("weights", "chunks", "search")}
    assert len(seeds) == 60


def test_stream_seeds_are_written_down_so_that_old_studies_can_be_repeated() -> None:
    assert stream_seed(0, "weights") == 3699729803252847382
