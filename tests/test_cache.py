"""Entries of the cache are written as a whole or not at all, whoever else writes them."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from dcgan.cache import cache_folder, new_cache_entry


@pytest.mark.parametrize("is_kept", [True, False])
def test_two_threads_that_write_one_entry_do_not_disturb_each_other(is_kept: bool):
    """Both are in their folders at once, and the first one ends while the second one still writes."""
    both_are_inside, first_has_ended = threading.Barrier(2, timeout=60), threading.Event()

    def write(number: int) -> Path:
        with new_cache_entry("k", is_valid=lambda name: is_kept) as folder:
            (folder / "content").write_text(f"{number}")
            both_are_inside.wait()
            if number:
                assert first_has_ended.wait(60)
            assert (folder / "content").read_text() == f"{number}"
        first_has_ended.set()
        return folder

    with ThreadPoolExecutor(2) as threads:
        folders = list(threads.map(write, range(2)))
    assert folders[0] != folders[1]
    assert [path.name for path in cache_folder().iterdir()] == ["k"]
    assert (cache_folder() / "k" / "content").read_text() == ("0" if is_kept else "1")


def test_a_leftover_with_the_numbers_of_this_thread_is_replaced():
    """In a container, the process after a killed one may have the same numbers."""
    with new_cache_entry("k") as folder:
        pass
    folder.mkdir()
    (folder / "half").touch()
    with new_cache_entry("k") as again:
        assert again == folder
        assert list(again.iterdir()) == []
    assert [path.name for path in cache_folder().iterdir()] == ["k"]


@pytest.mark.skipif(os.name != "posix", reason="only here is it known whether a process has ended")
@pytest.mark.parametrize("name", ["k", "a-runtime-1.20.1"])
def test_leftovers_of_ended_processes_are_removed_and_those_of_others_stay(name: str):
    with new_cache_entry(name) as folder:
        ended = folder.with_name(folder.name.removesuffix(str(os.getpid())) + "4194305")  # above every process's number
        for leftover in (ended, ended.with_name(f"{ended.name}.old")):
            leftover.mkdir()
        with new_cache_entry("other"):
            left = [path.name for path in cache_folder().iterdir() if not path.name.startswith(".other-")]
            assert left == [folder.name]
    assert sorted(path.name for path in cache_folder().iterdir()) == sorted([name, "other"])
