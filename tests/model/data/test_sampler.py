import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stores import small_store

from model.data import sampler
from model.data.sampler import ChunkBatch, ChunkSampler, SamplerConfig, SamplerName
from model.data.stores.store import Store
from model.errors import ConfigError, DataError

CHUNK, MARGIN = 40, 8


def sampler_of(store: Store, name: SamplerName = "paper", seed: int = 1, **settings: int) -> ChunkSampler:
    sizes = {"chunk_frames": CHUNK, "margin_frames": MARGIN, "batch_size": 8, **settings}
    return ChunkSampler(store, SamplerConfig(name=name, **sizes), seed)


def pairs(batches: list[ChunkBatch]) -> list[list[tuple[int, int]]]:
    return [list(zip(batch.half.tolist(), batch.start.tolist(), strict=True)) for batch in batches]


def actions_in(store: Store, half: int, start: int) -> np.ndarray:
    frames = store.actions[store.actions[:, 0] == half, 1]
    return frames[(start <= frames) & (frames < start + CHUNK)]


@st.composite
def splits(draw: st.DrawFn) -> tuple[list[int], list[tuple[int, int, int]]]:
    """Frames of a few halves, some shorter than a chunk, and at least one action."""
    halves = draw(st.lists(st.integers(5, 160), min_size=1, max_size=3))
    action = st.integers(0, len(halves) - 1).flatmap(
        lambda half: st.tuples(st.just(half), st.integers(0, halves[half] - 1), st.integers(0, 1))
    )
    return halves, draw(st.lists(action, min_size=1, max_size=8, unique=True))


BUSY = small_store(
    [200, 300, 150], [(0, 20, 0), (0, 90, 0), (0, 91, 1), (1, 0, 0), (1, 299, 1), (2, 70, 0)], dims=1
)


@given(splits(), st.integers(0, 9))
def test_paper_epoch_has_a_chunk_around_every_action_and_one_background_chunk_in_c_of_them(
    split: tuple, epoch: int
) -> None:
    store, seen = small_store(*split, dims=1), set()
    for batch in sampler_of(store).epoch(epoch):
        (half,) = set(batch.half.tolist())
        frames = store.actions[store.actions[:, 0] == half, 1]
        last_start = max(0, store.halves[half].frames - CHUNK)
        places = {start for start in range(last_start + 1) if not len(actions_in(store, half, start))}
        background = math.ceil(len(frames) / 2) if places else 0
        assert len(batch) == len(frames) + background
        assert set(batch.start[len(frames) :].tolist()) <= places
        for frame, start in zip(frames, batch.start, strict=False):
            assert 0 <= start <= last_start
            assert frame - start >= MARGIN or start == 0
            assert start + CHUNK - 1 - frame >= MARGIN or start == last_start
        seen.add(half)
    assert seen == set(store.actions[:, 0].tolist())


def test_action_comes_to_lie_at_every_place_that_the_margin_allows() -> None:
    sampler = sampler_of(small_store([200], [(0, 100, 0)], classes=1, dims=1))
    places = {100 - int(sampler.epoch(epoch)[0].start[0]) for epoch in range(500)}
    assert places == set(range(MARGIN, CHUNK - MARGIN))


def test_background_chunks_come_from_every_place_without_an_action() -> None:
    store = small_store([150], [(0, 50, 0), (0, 55, 0), (0, 100, 0)], classes=1, dims=1)
    sampler = sampler_of(store)
    starts = {int(start) for epoch in range(250) for start in sampler.epoch(epoch)[0].start[3:]}
    assert starts == {start for start in range(111) if not len(actions_in(store, 0, start))}


@given(splits(), st.sampled_from(["paper", "balanced"]), st.integers(0, 99), st.integers(0, 99))
def test_same_seed_and_epoch_draw_the_same_chunks_whatever_was_drawn_before(
    split: tuple, name: SamplerName, seed: int, epoch: int
) -> None:
    store = small_store(*split, dims=1)
    used, fresh = sampler_of(store, name, seed), sampler_of(store, name, seed)
    used.epoch(epoch + 1)
    used.epoch(epoch)
    assert pairs(used.epoch(epoch)) == pairs(fresh.epoch(epoch))


@pytest.mark.parametrize("name", ["paper", "balanced"])
def test_epochs_and_seeds_differ_in_their_first_chunks(name: SamplerName) -> None:
    first = [pairs(sampler_of(BUSY, name, seed).epoch(epoch))[0] for seed in (1, 2) for epoch in range(6)]
    assert len({tuple(batch) for batch in first}) == 12


def test_halves_come_in_another_order_in_every_epoch() -> None:
    sampler = sampler_of(BUSY)
    assert len({tuple(int(batch.half[0]) for batch in sampler.epoch(epoch)) for epoch in range(20)}) > 3


@given(splits(), st.integers(0, 9))
def test_balanced_chunks_hold_an_action_inside_the_margin_or_none(split: tuple, epoch: int) -> None:
    store = small_store(*split, dims=1)
    for batch in pairs(sampler_of(store, "balanced").epoch(epoch)):
        for half, start in batch:
            last_start = max(0, store.halves[half].frames - CHUNK)
            inside = actions_in(store, half, start) - start
            assert 0 <= start <= last_start
            far_enough = ((inside >= MARGIN) | (start == 0)) & (
                (CHUNK - 1 - inside >= MARGIN) | (start == last_start)
            )
            assert far_enough.any() or not len(inside)


def test_balanced_draws_are_even_over_classes_and_background() -> None:
    # Half 0 has only actions of class 0, half 1 only two of class 1 and no room for background.
    crowded = [(0, frame, 0) for frame in range(0, 400, 10)]
    store = small_store([400, 60, 100], [*crowded, (1, 19, 1), (1, 39, 1)], dims=1)
    batches = sampler_of(store, "balanced", chunks_per_epoch=3000).epoch(0)
    counts = np.bincount(np.concatenate([batch.half for batch in batches]), minlength=3)
    assert counts.sum() == 3000
    assert (np.abs(counts - 1000) < 5 * math.sqrt(3000 * 2 / 9)).all()


def test_balanced_epoch_is_cut_into_batches_of_one_size() -> None:
    batches = sampler_of(BUSY, "balanced", chunks_per_epoch=20, batch_size=8).epoch(0)
    assert [len(batch) for batch in batches] == [8, 8, 4]


@pytest.mark.parametrize("name", ["paper", "balanced"])
def test_epoch_has_the_stated_number_of_chunks(name: SamplerName) -> None:
    sampler = sampler_of(BUSY, name)
    assert sum(len(batch) for batch in sampler.epoch(0)) == sampler.chunks_per_epoch == 6 + 2 + 1 + 1


@settings(max_examples=20)
@given(splits())
def test_stated_number_holds_for_halves_without_room_for_background(split: tuple) -> None:
    sampler = sampler_of(small_store(*split, dims=1))
    assert sum(len(batch) for batch in sampler.epoch(0)) == sampler.chunks_per_epoch


def test_halves_without_actions_give_background_to_the_balanced_sampler_only() -> None:
    store = small_store([100, 300], [(0, 50, 0)], dims=1)
    paper = {half for batch in pairs(sampler_of(store).epoch(0)) for half, _ in batch}
    balanced = pairs(sampler_of(store, "balanced", chunks_per_epoch=64).epoch(0))
    assert paper == {0}
    assert {half for batch in balanced for half, _ in batch} == {0, 1}


def test_drawing_leaves_the_store_unchanged() -> None:
    before = BUSY.actions.copy()
    sampler_of(BUSY).epoch(0)
    sampler_of(BUSY, "balanced").epoch(0)
    np.testing.assert_array_equal(BUSY.actions, before)


def test_split_without_actions_is_refused() -> None:
    with pytest.raises(DataError, match="no actions"):
        sampler_of(small_store([100], [], dims=1))


@pytest.mark.parametrize(
    "wrong", [{"margin_frames": 20}, {"margin_frames": -1}, {"batch_size": 0}, {"chunks_per_epoch": 0}]
)
def test_settings_that_allow_no_chunk_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ConfigError):
        SamplerConfig(**{"chunk_frames": 40, "margin_frames": 8, **wrong})


def test_batch_that_is_too_large_is_divided_evenly_and_at_random(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = pairs(sampler_of(BUSY).epoch(2))
    monkeypatch.setattr(sampler, "MOST_BATCH_FRAMES", 2 * CHUNK)
    parts = pairs(sampler_of(BUSY).epoch(2))
    assert max(map(len, parts)) == 2
    assert len(parts) == sum(math.ceil(len(batch) / 2) for batch in whole)
    assert sorted(pair for batch in parts for pair in batch) == sorted(
        pair for batch in whole for pair in batch
    )
    assert [pair for batch in parts for pair in batch] != [pair for batch in whole for pair in batch]
    assert parts == pairs(sampler_of(BUSY).epoch(2))
