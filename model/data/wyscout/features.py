"""Feature vectors of a half: 64 dimensions every half-second, from events that do not reveal the labels."""

import numpy as np
import numpy.typing as npt

from model.data.wyscout.events import HalfEvents, MatchEvents
from model.data.wyscout.leaks import NeutralEvents, neutral_events
from model.data.wyscout.vocabulary import EVENT_TYPES, NEUTRAL_TAGS, PLAIN_SUB_EVENTS
from model.timeline import FrameRate

FRAME_RATE = FrameRate(2.0)

FEATURE_NAMES = (
    *(f"type: {name}" for name in EVENT_TYPES),
    *(f"sub-event: {name}" for name in PLAIN_SUB_EVENTS),
    *(f"tag: {name}" for name in NEUTRAL_TAGS.values()),
    "home team acts",
    "away team acts",
    "any event",
    "log(1 + events)",
    "start x of the last event here",
    "start y of the last event here",
    "end x of the last event here",
    "end y of the last event here",
    "ball x",
    "ball y",
    "acting team (1 home, -1 away)",
    "log time since an event",
    "log time since a dead ball",
    "clock of the half (1 at 45 minutes)",
    "second half",
    "distance to the nearer goal line",
    "an event starts from the centre spot",
    "a player appeared (1, falling to 0 in two minutes)",
)
"""Names of the 64 columns; up to the end of the last event, all are zero in a frame without an event."""

TAIL_S = 15.0
"""Duration of a half after its last event, in seconds."""
_DEAD_BALLS = [EVENT_TYPES.index(name) for name in ("Interruption", "Foul", "Offside", "Free Kick")]
_PASS = EVENT_TYPES.index("Pass")
_CENTRE_SPOT_RADIUS = 0.04
_HALF_S = 2700.0
_APPEARANCE_S = 120.0
_LONG_PAUSE_S = 60.0

_Frames = npt.NDArray[np.int64]
_Block = npt.NDArray[np.float32]


def match_features(
    events: MatchEvents, *, home: int
) -> tuple[npt.NDArray[np.float16], npt.NDArray[np.float16]]:
    """Compute the features of both halves, (frames, 64) each, at two frames per second.

    Args:
        events: Events of the match.
        home: Id of the home team.
    """
    first, second = (neutral_events(half, home=home) for half in events.halves)
    nobody = np.zeros(0, dtype=np.int64)
    return (
        _half_features(first, frames=half_frames(events.halves[0]), half=1, seen=nobody),
        _half_features(second, frames=half_frames(events.halves[1]), half=2, seen=first.players),
    )


def half_frames(events: HalfEvents) -> int:
    """Return the number of frames of a half, up to ``TAIL_S`` after its last event."""
    return FRAME_RATE.frame_at(float(events.seconds[-1])) + 1 + FRAME_RATE.to_frames(TAIL_S)


def _half_features(
    events: NeutralEvents, *, frames: int, half: int, seen: npt.NDArray[np.int64]
) -> npt.NDArray[np.float16]:
    at = np.array([FRAME_RATE.frame_at(second) for second in events.seconds.tolist()], dtype=np.int64)
    starts, ends = _known_places(events)
    blocks = [
        _what_happens(events, at, frames),
        _who_acts(events, at, frames),
        _where(starts, ends, at, frames),
        _carried_forward(events, ends, at, frames),
        _when(frames, half),
        _goal_line_distance(ends, at, frames),
        _centre_spot(events, at, frames),
        _appearances(events, at, frames, seen),
    ]
    return np.concatenate(blocks, axis=1).astype(np.float16)


def _known_places(events: NeutralEvents) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Starts and ends; an unknown one is where the ball was last seen, at first the centre spot."""
    path = np.stack([events.starts, events.ends], axis=1).reshape(-1, 2)
    path = np.concatenate([np.zeros((1, 2)), path])
    known = np.where(np.isnan(path).any(axis=1), 0, np.arange(len(path)))
    filled = path[np.maximum.accumulate(known)]
    return filled[1::2], filled[2::2]


def _what_happens(events: NeutralEvents, at: _Frames, frames: int) -> _Block:
    types = np.zeros((frames, len(EVENT_TYPES)), dtype=np.float32)
    types[at, events.types] = 1.0
    # The last column takes the events without a plain sub-event (index -1) and is cut off.
    subs = np.zeros((frames, len(PLAIN_SUB_EVENTS) + 1), dtype=np.float32)
    subs[at, events.sub_events] = 1.0
    tags = np.zeros((frames, len(NEUTRAL_TAGS)), dtype=np.float32)
    for bit in range(len(NEUTRAL_TAGS)):
        tags[at[(events.tags >> bit) & 1 == 1], bit] = 1.0
    return np.concatenate([types, subs[:, :-1], tags], axis=1)


def _who_acts(events: NeutralEvents, at: _Frames, frames: int) -> _Block:
    home = np.bincount(at[events.home], minlength=frames)
    away = np.bincount(at[~events.home], minlength=frames)
    columns = [home > 0, away > 0, home + away > 0, np.log1p(home + away)]
    return np.stack(columns, axis=1).astype(np.float32)


def _where(
    starts: npt.NDArray[np.float64], ends: npt.NDArray[np.float64], at: _Frames, frames: int
) -> _Block:
    block = np.zeros((frames, 4), dtype=np.float32)
    last_here = np.append(at[1:] != at[:-1], True)[: len(at)]
    block[at[last_here]] = np.concatenate([starts, ends], axis=1)[last_here]
    return block


def _carried_forward(
    events: NeutralEvents, ends: npt.NDArray[np.float64], at: _Frames, frames: int
) -> _Block:
    acting = _last_value(np.where(events.home, 1.0, -1.0)[:, None], at, frames)
    dead = at[np.isin(events.types, _DEAD_BALLS)]
    since = [_log_time_since(at, frames), _log_time_since(dead, frames)]
    return np.concatenate([_last_value(ends, at, frames), acting, np.stack(since, axis=1)], axis=1)


def _when(frames: int, half: int) -> _Block:
    clock = np.arange(frames) / FRAME_RATE.per_second / _HALF_S
    return np.stack([clock, np.full(frames, half - 1.0)], axis=1).astype(np.float32)


def _goal_line_distance(ends: npt.NDArray[np.float64], at: _Frames, frames: int) -> _Block:
    ball_x = _last_value(ends, at, frames)[:, :1]
    return (1.0 - np.abs(ball_x)).astype(np.float32)


def _centre_spot(events: NeutralEvents, at: _Frames, frames: int) -> _Block:
    # A comparison with NaN is false: an unknown start is not the centre spot.
    from_centre = (np.abs(events.starts) <= _CENTRE_SPOT_RADIUS + 1e-9).all(axis=1) & (events.types == _PASS)
    block = np.zeros((frames, 1), dtype=np.float32)
    block[at[from_centre]] = 1.0
    return block


def _appearances(events: NeutralEvents, at: _Frames, frames: int, seen: npt.NDArray[np.int64]) -> _Block:
    players, first = np.unique(events.players, return_index=True)
    # Player 0 is nobody in particular.
    new = np.sort(at[first[(players != 0) & ~np.isin(players, seen)]])
    since_s = _frames_since(new, frames) / FRAME_RATE.per_second
    since_s[: new[0] if len(new) else frames] = _APPEARANCE_S
    return np.clip(1.0 - since_s / _APPEARANCE_S, 0.0, 1.0).astype(np.float32)[:, None]


def _last_value(values: npt.NDArray[np.float64], at: _Frames, frames: int) -> _Block:
    """Value of the last event at or before each frame; zero before the first event."""
    last = np.searchsorted(at, np.arange(frames), side="right")
    padded = np.concatenate([np.zeros((1, values.shape[1])), values])
    return padded[last].astype(np.float32)


def _frames_since(at: _Frames, frames: int) -> npt.NDArray[np.float64]:
    """Frames since the last of the sorted frames ``at``; since the start of the half before the first."""
    origins = np.concatenate([[0], at])
    here = np.arange(frames)
    last = origins[np.searchsorted(at, here, side="right")]
    since: npt.NDArray[np.float64] = (here - last).astype(np.float64)
    return since


def _log_time_since(at: _Frames, frames: int) -> _Block:
    since_s = _frames_since(at, frames) / FRAME_RATE.per_second
    scaled: _Block = (np.log1p(since_s) / np.log1p(_LONG_PAUSE_S)).astype(np.float32)
    return scaled
