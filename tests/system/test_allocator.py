"""Freed memory is kept in a block and given back after it, and the user's own settings stay."""

import os
import subprocess
import sys

import pytest

from dcgan.system import allocator
from dcgan.system.allocator import KEEP_ALL, USUAL, keep_freed_memory

COUNT_FAULTS = """
import resource
import torch
from dcgan.system.allocator import keep_freed_memory

def count_faults():
    for _ in range(3):  # the first tensors need new pages in any case
        torch.ones(10_000_000) + 1
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        torch.ones(10_000_000) + 1
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

outside = count_faults()
with keep_freed_memory():
    inside = count_faults()
with keep_freed_memory():
    with keep_freed_memory():
        torch.ones(10_000_000)
    nested = count_faults()
print(outside, inside, nested)
"""


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> list[dict[int, int]]:
    """What the C library is told, in order."""
    for name in [name for name in os.environ if name.startswith(allocator.USER_SETTINGS)]:
        monkeypatch.delenv(name)
    told: list[dict[int, int]] = []
    monkeypatch.setattr(allocator, "_set_parameters", told.append)
    return told


def test_the_outermost_block_counts(settings: list[dict[int, int]]):
    with keep_freed_memory():
        with keep_freed_memory():
            pass
        assert settings == [KEEP_ALL]
    assert settings == [KEEP_ALL, USUAL]


def test_other_settings_of_the_user_change_nothing(settings: list[dict[int, int]], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MALLOC_ARENA_MAX", "2")
    with keep_freed_memory():
        pass
    assert settings == [KEEP_ALL, USUAL]


def test_memory_is_given_back_after_an_error(settings: list[dict[int, int]]):
    with pytest.raises(ZeroDivisionError), keep_freed_memory():
        1 / 0  # noqa: B018
    assert settings == [KEEP_ALL, USUAL]


@pytest.mark.parametrize("name", ["MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES"])
def test_what_the_user_has_chosen_stays(name: str, settings: list[dict[int, int]], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(name, "2")
    with keep_freed_memory():
        pass
    assert settings == []


@pytest.mark.skipif(sys.platform != "linux", reason="glibc alone has the settings")
def test_tensors_get_the_pages_of_those_before_them():
    environment = {name: value for name, value in os.environ.items() if not name.startswith(allocator.USER_SETTINGS)}
    command = [sys.executable, "-c", COUNT_FAULTS]
    output = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    outside, inside, nested = map(int, output.split())
    assert max(inside, nested) < 0.05 * outside
