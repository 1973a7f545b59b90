import ctypes
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from dcgan.system.threads import fix_thread_count

MKL_DYNAMIC = """
import ctypes, os, sys
import torch
library = ctypes.CDLL(sys.argv[1])
before, threads = library.mkl_serv_get_dynamic(), torch.get_num_threads()
{}
print(before, library.mkl_serv_get_dynamic(), threads == torch.get_num_threads(), flush=True)
os._exit(0)
"""
LOAD = "import dcgan; dcgan.load('mnist')"
CONNECT = (
    "from dcgan.devices.connect import connect_devices; from dcgan import Config; connect_devices(Config(device='cpu'))"
)


def test_the_number_of_threads_stays():
    threads = torch.get_num_threads()
    fix_thread_count()
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize("statement", [LOAD, CONNECT])
def test_mkl_does_not_choose_the_number_of_threads(statement: str):
    library = Path(torch.__file__).parent / "lib" / "libtorch_cpu.so"
    if not library.exists() or not hasattr(ctypes.CDLL(str(library)), "mkl_serv_get_dynamic"):
        pytest.skip("this torch has no MKL, or hides it")
    command = [sys.executable, "-c", MKL_DYNAMIC.format(statement), str(library)]
    output = subprocess.run(command, capture_output=True, text=True, check=True, timeout=200).stdout
    assert output.split() == ["1", "0", "True"]
