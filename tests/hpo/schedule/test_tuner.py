"""What a training process gets of the machines."""

import pytest

from hpo.schedule.tuner import _gpu_share


@pytest.mark.parametrize(
    ("processes", "resources", "share"),
    [
        (4, {"GPU": 2.0}, 0.5),
        (3, {"GPU": 2.0}, 0.5),
        (2, {"GPU": 2.0}, 1.0),
        (1, {"GPU": 8.0}, 1.0),
        (3, {}, 1 / 3),
    ],
)
def test_processes_share_gpus_only_if_there_are_more_of_them(
    monkeypatch: pytest.MonkeyPatch, processes: int, resources: dict[str, float], share: float
) -> None:
    monkeypatch.setattr("ray.cluster_resources", lambda: resources)
    assert _gpu_share(processes) == share
