import errno
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from dcgan import UserError
from dcgan.system import resources
from dcgan.system.resources import (
    available_disk,
    available_memory,
    check_disk,
    check_memory,
    explain_out_of_memory,
    format_bytes,
    is_out_of_memory,
)

TOO_MUCH = 2**50


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (1234, "1.2 kB"),
        (99_400, "99.4 kB"),
        (99_960, "100 kB"),
        (999_600, "1.0 MB"),
        (78.4e12, "78.4 TB"),
        (2.35e14, "235 TB"),
        (7e18, "7000 PB"),
    ],
)
def test_bytes_have_a_unit(count: float, text: str):
    assert format_bytes(count) == text


def test_memory_and_disk_are_known_here(tmp_path: Path):
    memory = available_memory()
    assert 2**20 < memory < TOO_MUCH
    assert available_disk(tmp_path / "not" / "there") == available_disk(tmp_path) > 0
    check_memory(2**20, "arrays", "")
    check_disk(1, tmp_path, "files", "")
    with pytest.raises(UserError, match=r"arrays need 1\.1 PB of memory, .* are free: give up"):
        check_memory(TOO_MUCH, "arrays", "give up")
    with pytest.raises(UserError, match=r"files need 1126 PB on the disk of .*x, .* are free: give up"):
        check_disk(TOO_MUCH * 1000, tmp_path / "x", "files", "give up")


def test_the_least_limit_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "limit").write_text("5000\n")
    (tmp_path / "use").write_text("2000\n")
    monkeypatch.setattr(resources, "CGROUP_FILES", ((tmp_path, "limit", "use", "inactive_file"),))
    assert available_memory() == 3000
    # Files that the kernel has read are given up when memory is needed.
    (tmp_path / "memory.stat").write_text("anon 900\ninactive_file 500\n")
    assert available_memory() == 3500
    (tmp_path / "limit").write_text("max\n")
    assert available_memory() > 3000


MEMORY_LIMIT = """
import resource
from pathlib import Path
from dcgan.system.resources import available_memory, total_memory
used = int(Path("/proc/self/statm").read_text().split()[0]) * 4096
resource.setrlimit(resource.RLIMIT_AS, (used + 300 * 2**20, used + 300 * 2**20))
print(available_memory(), total_memory() - used)
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="the system does not say what a process uses")
def test_a_limit_of_the_process_counts():
    output = subprocess.run([sys.executable, "-c", MEMORY_LIMIT], capture_output=True, text=True, check=True).stdout
    available, total = map(int, output.split())
    assert 250 * 2**20 < available < 310 * 2**20
    assert total == 300 * 2**20


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:124] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to "
            "allocate 411041792000 bytes. Error code 12 (Cannot allocate memory)"
        ),
        RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 411041792000 bytes."),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 1 GiB"),
        OSError(errno.ENOMEM, os.strerror(errno.ENOMEM)),
        RuntimeError("std::bad_alloc"),
    ],
)
def test_errors_of_every_library_are_recognized(error: Exception):
    assert is_out_of_memory(error)
    with (
        pytest.raises(UserError, match=r"there is not enough memory.*: lower --n") as user_error,
        explain_out_of_memory("lower --n"),
    ):
        raise error
    assert "\n" not in str(user_error.value)
    if "411041792000" in str(error):
        assert re.search(r"411 GB more were needed, this process can have .*B in all", str(user_error.value))
    if "GPU" in str(error):
        assert "memory of the GPU (2.1 GB more were needed)" in str(user_error.value)


@pytest.mark.parametrize("error", [RuntimeError("shapes differ"), OSError(errno.ENOSPC, "No space left on device")])
def test_other_errors_stay_as_they_are(error: Exception):
    assert not is_out_of_memory(error)
    with pytest.raises(type(error), match=str(error.args[-1])), explain_out_of_memory("lower --n"):
        raise error


def test_real_errors_are_recognized():
    for allocate in (lambda: torch.empty(2**50), lambda: np.empty(2**50), lambda: bytearray(2**50)):
        with pytest.raises(UserError, match="not enough memory"), explain_out_of_memory("lower --n"):
            allocate()
