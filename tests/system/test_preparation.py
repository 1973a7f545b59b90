import time

import pytest

from dcgan.system import preparation
from dcgan.system.preparation import preparation_bar, show_preparations


def work_through(seconds: float = 0) -> None:
    with preparation_bar("features of 20 pictures", 20) as bar:
        for _ in range(2):
            time.sleep(seconds / 2)
            bar.update(10)


@pytest.fixture
def slow_preparation(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every preparation count as a long one."""
    monkeypatch.setattr(preparation, "DELAY_S", 0)


def test_a_long_preparation_says_what_it_is(slow_preparation: None, capsys: pytest.CaptureFixture[str]):
    with show_preparations(True):
        work_through()
    out, err = capsys.readouterr()
    assert out == ""
    assert "features of 20 pictures: 100%" in err


def test_a_short_preparation_says_nothing(capsys: pytest.CaptureFixture[str]):
    with show_preparations(True):
        work_through()
    assert capsys.readouterr() == ("", "")


def test_a_bar_appears_after_the_delay(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    for name in ("DELAY_S", "TERMINAL_INTERVAL_S", "FILE_INTERVAL_S"):
        monkeypatch.setattr(preparation, name, 0.1)
    with show_preparations(True):
        work_through(0.4)
    assert "features of 20 pictures" in capsys.readouterr().err


def test_nothing_is_shown_unless_it_is_asked_for(slow_preparation: None, capsys: pytest.CaptureFixture[str]):
    work_through()
    with show_preparations(True), show_preparations(False):
        work_through()
    with pytest.raises(ZeroDivisionError), show_preparations(True):
        _ = 1 / 0
    work_through()
    assert capsys.readouterr() == ("", "")


def test_what_is_shown_by_default_can_be_switched_off(slow_preparation: None, capsys: pytest.CaptureFixture[str]):
    with show_preparations(False), preparation_bar("preparing pictures", 1, by_default=True):
        pass
    assert capsys.readouterr() == ("", "")
    with preparation_bar("preparing pictures", 1, by_default=True):
        pass
    assert "preparing pictures" in capsys.readouterr().err
