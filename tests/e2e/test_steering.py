"""A search with the user's own points and a conditional space, which becomes wider; killed in the middle."""

import pytest
from e2e.command_line import CommandLine, kill_group
from waiting import wait_until

from hpo.journal.events import TrialAsked

STUDY_FILE = """
task = "calf"
[training]
epochs = 1
sampler = "balanced"
batch_size = 4
chunks_per_epoch = 8
precision = "float32"
[stages.bayes]
trials = 4
[stages.bayes.space]
f = 4
matching = { type = "choice", choices = ["one-to-one", "none"] }
beta = { type = "float", low = 0.1, high = 0.6, when = { matching = "one-to-one" } }
alpha2 = { type = "float", low = 0.5, high = 6.0 }
"""


def proposals(hpo: CommandLine) -> list[dict[str, object]]:
    return [dict(event.parameters) for event in hpo.events("mine") if isinstance(event, TrialAsked)]


@pytest.mark.slow
def test_own_points_and_a_wider_space_survive_kills(hpo: CommandLine) -> None:
    (hpo.folder / "mine.toml").write_text(STUDY_FILE)
    (hpo.folder / "points.csv").write_text("matching,beta,alpha2\nnone,0.2,6\n,0.25,\n")
    start = ["run", "bayes", "--study", "mine", "--data", str(hpo.data)]
    start += ["--study-file", str(hpo.folder / "mine.toml"), "--try", str(hpo.folder / "points.csv")]
    expected = [
        {"matching": "none", "alpha2": 6, "f": 4},
        {"matching": "one-to-one", "alpha2": 5.0, "beta": 0.25, "f": 4},
    ]

    plan = hpo.run(*start, "--dry-run")
    assert plan.returncode == 0, plan.stderr
    assert "study file" in plan.stdout and "outside the space with f = 16" in plan.stdout
    assert "try 2" in plan.stdout and "fixed: 4" in plan.stdout

    process = hpo.start(*start)
    wait_until(lambda: len(hpo.finished("mine")) >= 1)
    kill_group(process)
    assert hpo.run("resume", "mine").returncode == 0
    before = proposals(hpo)
    assert before[:2] == expected and len(before) == 4

    narrow = hpo.run("run", "bayes", "--study", "mine", "--space", "alpha2=0.5..5.5")
    assert narrow.returncode == 2 and "bayes-0001 has alpha2 = 6" in narrow.stderr

    above = hpo.run("run", "bayes", "--study", "mine", "--space", "alpha2=6..200", "--trials", "6")
    assert above.returncode == 2
    wider = ["run", "bayes", "--study", "mine", "--space", "alpha2=0.5..200", "--trials", "8"]
    process = hpo.start(*wider)
    wait_until(lambda: len(hpo.finished("mine")) >= 5)
    kill_group(process)
    assert hpo.run("resume", "mine").returncode == 0
    after = proposals(hpo)
    assert after[:4] == before and len(after) == 8
    assert max(float(str(point["alpha2"])) for point in after[4:]) > 6
    assert set(hpo.finished("mine").values()) == {1} and len(hpo.finished("mine")) == 8
    assert all(("beta" in point) == (point["matching"] == "one-to-one") for point in after)
