"""What is printed can be pasted: a shell reads the words that were meant."""

import os
import subprocess

from hypothesis import given
from hypothesis import strategies as st

from model.shell import shell_line

words = st.binary(min_size=1, max_size=12).filter(lambda word: b"\0" not in word).map(os.fsdecode)


@given(
    st.lists(words | st.text(st.characters(exclude_characters="\0", codec="utf-8")), min_size=1, max_size=3)
)
def test_a_shell_reads_any_words_as_they_were(meant: list[str]) -> None:
    command = ["bash", "-c", f"printf '%s\\0' {shell_line(*meant)}"]
    read = subprocess.run(command, capture_output=True, check=True, env={"LC_ALL": "C.UTF-8"}).stdout
    assert read.split(b"\0")[:-1] == [os.fsencode(word) for word in meant]


def test_plain_words_stay_as_they_are_and_the_line_is_one_line() -> None:
    assert shell_line("hpo", "resume", "study-1") == "hpo resume study-1"
    assert shell_line("--study", "a b") == "--study 'a b'"
    assert shell_line("a\nb", os.fsdecode(b"\xff'")) == "$'a\\x0ab' $'\\xff\\x27'"
