"""Every command that the program prints is run: advice never fails."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import replace

import pytest
from e2e.command_line import CommandLine

PRINTED = re.compile(r"\bhpo((?: (?:'[^']*'|[^\s,;:|()`']|,(?=\S))+)+)")
FILLED_IN = {"NEW": "new", "FOLDER": "{data}", "FILE": "small.toml"}
ELSEWHERE = (["data", "download"],)
"""Commands that need the network."""
SERVES = (["ui"],)
"""Commands that run until they are stopped."""


def printed_commands(text: str) -> list[list[str]]:
    return [shlex.split(found.removesuffix(".")) for found in PRINTED.findall(text)]


def follow(hpo: CommandLine, text: str) -> Iterator[tuple[list[str], int, str]]:
    """Run the printed commands, training nothing: words, exit code and errors of each."""
    for words in printed_commands(text):
        if words[:2] in ELSEWHERE or words[:1] in SERVES or words[-1] == "--help":
            continue
        words = [FILLED_IN.get(word, word).format(data=hpo.data) for word in words]
        done = hpo.run(*words, *(["--dry-run"] if words[0] == "run" else []))
        yield words, done.returncode, done.stderr


def assert_good_advice(hpo: CommandLine, text: str, *, commands: int) -> None:
    followed = list(follow(hpo, text))
    assert len(followed) >= commands, text
    for words, code, errors in followed:
        assert code == 0, f"{text}\nfollowed: hpo {shlex.join(words)}\n{errors}"


@pytest.mark.slow
def test_advice_of_a_study_can_be_followed(hpo: CommandLine) -> None:
    done = hpo.run(*hpo.study("first study", "--trials", "1", "--epochs", "1"))
    assert done.returncode == 0, done.stderr
    assert_good_advice(hpo, done.stderr, commands=2)

    final = hpo.run("run", "final", "--study", "first study", "--seeds", "2", "--epochs", "1")
    assert final.returncode == 0, final.stderr
    assert_good_advice(hpo, final.stderr, commands=1)
    mistakes = [
        ("run", "final", "--study", "first study"),
        ("run", "ablation", "--study", "first study", "--seed", "9"),
        ("run", "ablation", "--study", "first study", "--games", "1,1"),
    ]
    closed = hpo.run("analyse", "--run", "first study/bayes-0001", "--split", "test", "--to", "analysis")
    assert "a trial of the final, such as first study/final-0001" in closed.stderr
    for words in mistakes:
        refused = hpo.run(*words)
        assert refused.returncode == 2, refused.stderr
        assert_good_advice(hpo, refused.stderr, commands=1)

    for option in (
        ("--seed", "9"),
        ("--games", "1,1"),
        ("--seed", "9", "--trials", "3", "--space", "f=2..4"),
    ):
        refused = hpo.run("run", "bayes", "--study", "first study", *option)
        assert refused.returncode == 2 and "--from" not in refused.stderr
        new = f"hpo run bayes --study NEW --data {hpo.data} --features"
        assert new in refused.stderr and " ".join(option) in refused.stderr.split("fix:")[1]
        assert_good_advice(hpo, refused.stderr, commands=1)

    taken = hpo.run(*hpo.study("first study"))
    assert taken.returncode == 2 and "hpo resume" not in taken.stderr, "it has nothing to resume"


@pytest.mark.slow
def test_advice_to_someone_without_a_study_can_be_followed(hpo: CommandLine) -> None:
    (hpo.folder / "empty").mkdir()
    empty = replace(hpo, folder=hpo.folder / "empty").with_store(hpo.folder / "hpo-runs" / "mlflow.db")
    assert_good_advice(empty, empty.run("status").stderr, commands=1)
    later = empty.run("run", "grid-slicing", "--data", str(hpo.data))
    assert later.returncode == 2
    assert_good_advice(empty, later.stderr, commands=2)
    without = empty.run("run", "bayes", "--features", "resnet")
    assert without.returncode == 2
    assert_good_advice(empty, without.stderr, commands=1)
    generated = empty.run("data", "synthetic", "--to", "games", "--games", "1,1,1", "--minutes", "15")
    assert generated.returncode == 0, generated.stderr
    assert_good_advice(empty, generated.stdout, commands=1)
