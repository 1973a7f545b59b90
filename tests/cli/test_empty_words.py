"""A word that is empty, as of a variable that is not set, is no path."""

from pathlib import Path

import pytest


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["train", "--data", ""], "the word after --data is empty"),
        (["train", "--data="], "--data needs a value"),
        (["train", "--out", "", "--steps", "1"], "the word after --out is empty"),
        (["train", "--init", " "], "the word after --init is empty"),
        (["evaluate", ""], "a word is empty"),
        (["evaluate", "mnist", "--data", ""], "the word after --data is empty"),
        (["resume", ""], "a word is empty"),
        (["resume", "r", "--data", ""], "the word after --data is empty"),
        (["sample", "", "--out", "s.png"], "a word is empty"),
        (["report", ""], "a word is empty"),
        (["data", "check", ""], "a word is empty"),
        (["studio", ""], "a word is empty"),
    ],
)
def test_empty_words_are_refused(
    refused, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], message: str
):
    monkeypatch.chdir(tmp_path)
    assert message in refused(*words)
    assert list(tmp_path.iterdir()) == []
