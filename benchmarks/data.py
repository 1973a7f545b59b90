"""The cost of data: preparing a set, drawing a batch, and the memory for a set that is larger than memory.

    python -m benchmarks.data [--files 2000] [--million 1000000] [--only decode|reopen|draw|loader|million]

It prints JSON. The pictures are made here; the cache is in a temporary folder. torch and the package are imported
inside functions, because the processes of the plain Pillow loop import this module and must start fast.
"""

import argparse
import itertools
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import PIL
from PIL import Image

SIZE = (64, 64)
"""Height and width that pictures are resized to."""


def make_photos(folder: Path, count: int, suffix: str) -> list[str]:
    """Write different pictures of 500 x 375 that compress like photographs; return their paths."""
    random = np.random.default_rng(0)
    folder.mkdir()
    for i in range(count):
        coarse = random.integers(0, 256, (12, 16, 3)).astype(np.uint8)
        image = Image.fromarray(coarse).resize((500, 375), Image.Resampling.BICUBIC)
        image.save(folder / f"{i:05d}.{suffix}", quality=90)
    return sorted(map(str, folder.iterdir()))


def decode_with_pillow(files: list[str]) -> float:
    """Return the files per second of a plain Pillow loop in one process: open, decode, crop, resize."""
    start = time.perf_counter()
    for file in files:
        with Image.open(file) as image:
            rgb = image.convert("RGB")
            left = (rgb.width - rgb.height) // 2
            np.asarray(rgb.resize(SIZE, Image.Resampling.BICUBIC, box=(left, 0, left + rgb.height, rgb.height)))
    return len(files) / (time.perf_counter() - start)


def decode_in_several_processes(files: list[str], workers: int) -> float:
    """Return the files per second of that loop in several processes: what this machine can decode at most."""
    code = (
        "import sys; from benchmarks.data import decode_with_pillow as decode\n"
        "decode(sys.argv[1:2]); print('ready', flush=True); input(); decode(sys.argv[1:])"
    )
    parts = [files[i::workers] for i in range(workers)]
    processes = [
        subprocess.Popen([sys.executable, "-c", code, *part], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for part in parts
    ]
    for process in processes:
        assert process.stdout is not None
        process.stdout.readline()
    start = time.perf_counter()
    for process in processes:
        assert process.stdin is not None
        process.stdin.write(b"\n")
        process.stdin.flush()
    for process in processes:
        process.wait()
    return len(files) / (time.perf_counter() - start)


def _processor_seconds() -> float:
    """Return the processor time of this process and its children that have ended: other programs do not count."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def measure_decoding(count: int) -> dict[str, Any]:
    """Compare preparing a folder with the plain loop, in one process and in as many as there are cores."""
    from dcgan.system.resources import usable_core_count

    result: dict[str, Any] = {"files": count, "workers": usable_core_count()}
    for suffix in ("jpg", "png"):
        with tempfile.TemporaryDirectory() as folder:
            files = make_photos(Path(folder) / "photos", count, suffix)
            repeats = [_measure_decoding_once(files, f"{folder}/photos", f"{folder}/cache{i}") for i in range(3)]
        one, several, ours, reopened, processor = (
            statistics.median(repeat[name] for repeat in repeats)
            for name in ("one", "several", "ours", "reopened", "processor")
        )
        result[suffix] = {
            "bare_files_per_second": one,
            "bare_in_all_processes_at_once": several,
            "prepared_files_per_second": ours,
            "share_of_bare_times_workers": ours / (one * usable_core_count()),
            "share_of_bare_in_all_processes": ours / several,
            "bare_processor_time_over_ours": processor,
            "reopened_in_seconds": reopened,
        }
    return result


def _measure_decoding_once(files: list[str], folder: str, cache: str) -> dict[str, float]:
    """Return files per second of the three ways, seconds of opening again, and the plain loop's share of our time."""
    from dcgan.data.open import open_images
    from dcgan.system.resources import usable_core_count

    os.environ["DCGAN_CACHE"] = cache
    some_files = files[: len(files) // 4]
    start = _processor_seconds()
    one = decode_with_pillow(some_files)
    plain_seconds_per_file = (_processor_seconds() - start) / len(some_files)
    several = decode_in_several_processes(files, usable_core_count())
    start = _processor_seconds()
    prepare_s = _seconds(lambda: open_images(folder, size=SIZE))
    seconds_per_file = (_processor_seconds() - start) / len(files)
    reopened = _seconds(lambda: open_images(folder, size=SIZE))
    ours, processor = len(files) / prepare_s, plain_seconds_per_file / seconds_per_file
    return {"one": one, "several": several, "ours": ours, "reopened": reopened, "processor": processor}


def measure_reopening(count: int) -> dict[str, Any]:
    """Measure how long opening a prepared set of small files takes."""
    from dcgan.data.open import open_images

    with tempfile.TemporaryDirectory() as temporary:
        os.environ["DCGAN_CACHE"] = f"{temporary}/cache"
        folder = Path(temporary) / "small"
        folder.mkdir()
        for i in range(count):
            Image.new("L", (16, 16), i % 256).save(folder / f"{i}.png")
        first, *others = (_seconds(lambda: open_images(str(folder), size=(16, 16))) for _ in range(4))
    return {"files": count, "first_seconds": first, "again_seconds": statistics.median(others)}


def measure_drawing() -> dict[str, Any]:
    """Compare drawing a batch of 128 with a default training step."""
    from dcgan.data.sampler import next_batch_indices
    from dcgan.presets import configure
    from dcgan.training.set_up import set_up
    from dcgan.training.step import load_reals, train_step

    state = set_up(configure("dcgan", device="cpu"))
    step_ms = _median_ms(lambda: train_step(state), 30)
    images_seen = iter(range(0, 10**9, 128))
    n = len(state.data)
    batch_ms = _median_ms(lambda: load_reals(state, next_batch_indices(n, 128, next(images_seen), 0)), 2000)
    return {"batch_ms": batch_ms, "step_ms": step_ms, "share": batch_ms / step_ms}


def measure_loader() -> dict[str, Any]:
    """Measure images per second of MNIST from our array, and from DataLoader + ToTensor + Normalize."""
    import torch
    from torch.utils.data import DataLoader
    from torchvision import transforms
    from torchvision.datasets import MNIST

    from benchmarks import study
    from dcgan.data.sampler import next_batch_indices
    from dcgan.presets import configure
    from dcgan.training.set_up import set_up
    from dcgan.training.step import load_reals

    state = set_up(configure("dcgan", device="cpu"))
    n, batches = len(state.data), 80
    epoch = range(0, n, 128)
    rates: dict[str, list[float]] = {"ours": [], "dataloader": []}
    with tempfile.TemporaryDirectory() as root:
        study.unpack_mnist(Path(root) / "MNIST" / "raw")
        transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize(0.5, 0.5)])
        loader = DataLoader(MNIST(root, transform=transform), batch_size=128, shuffle=True)
        for _ in range(3):
            seconds = _seconds(lambda: [None for _ in itertools.islice(loader, batches)])
            rates["dataloader"].append(batches * 128 / seconds)
            seconds = _seconds(lambda: [load_reals(state, next_batch_indices(n, 128, seen, 0)) for seen in epoch])
            rates["ours"].append(n / seconds)
    ours, dataloader = statistics.median(rates["ours"]), statistics.median(rates["dataloader"])
    return {"ours": ours, "dataloader": dataloader, "ratio": ours / dataloader, "threads": torch.get_num_threads()}


def measure_memory(count: int) -> dict[str, Any]:
    """Measure the largest anonymous memory while a sparse set of `count` gray pictures of 64 x 64 is used.

    It is measured while the set is prepared, while batches are drawn, and while a network is trained.
    """
    from dcgan.data.open import open_images
    from dcgan.data.sampler import next_batch_indices
    from dcgan.images import to_float
    from dcgan.presets import configure
    from dcgan.training.set_up import set_up
    from dcgan.training.step import train_step

    result: dict[str, Any] = {"pictures": count, "start_mib": _anonymous_mib()}
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder, _PeakMemory() as memory:
        os.environ["DCGAN_CACHE"] = f"{folder}/cache"
        path = f"{folder}/m.npy"
        array = np.lib.format.open_memmap(path, "w+", np.uint8, (count, 64, 64))
        array[:: max(1, count // 1000)] = np.random.default_rng(0).integers(0, 256, (64, 64))
        del array
        result["prepare_seconds"] = _seconds(lambda: open_images(path, size=SIZE))
        result["prepare_peak_mib"] = memory.peak_mib()
        images = open_images(path, size=SIZE)
        start = time.perf_counter()
        for images_seen in range(0, 300 * 128, 128):
            to_float(images.pixels[next_batch_indices(len(images), 128, images_seen, 0)])
        result |= {"draw_ms": 1000 * (time.perf_counter() - start) / 300, "draw_peak_mib": memory.peak_mib()}
        state = set_up(configure("dcgan64", data=path, device="cpu"))
        for _ in range(20):
            train_step(state)
        result["train_peak_mib"] = memory.peak_mib()
    return result


class _PeakMemory:
    """The largest anonymous memory of this process, which is read every 20 ms."""

    def __enter__(self) -> "_PeakMemory":
        self.peak, self.is_over = 0, threading.Event()
        self.thread = threading.Thread(target=self._watch, daemon=True)
        self.thread.start()
        return self

    def _watch(self) -> None:
        while not self.is_over.wait(0.02):
            self.peak = max(self.peak, _anonymous_mib())

    def peak_mib(self) -> int:
        """Return the peak since the last call."""
        peak, self.peak = max(self.peak, _anonymous_mib()), 0
        return peak

    def __exit__(self, *_: object) -> None:
        self.is_over.set()
        self.thread.join()


def _anonymous_mib() -> int:
    status = Path("/proc/self/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("RssAnon"))) >> 10


def _seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def _median_ms(call: Callable[[], object], count: int) -> float:
    for _ in range(5):  # warm up
        call()
    return 1000 * statistics.median(_seconds(call) for _ in range(count))


def main() -> None:
    import torch

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--million", type=int, default=1_000_000)
    parser.add_argument("--only", choices=["decode", "reopen", "draw", "loader", "million"])
    args = parser.parse_args()
    parts: dict[str, Callable[[], dict[str, Any]]] = {
        "decode": lambda: measure_decoding(args.files),
        "reopen": lambda: measure_reopening(10_000),
        "draw": measure_drawing,
        "loader": measure_loader,
        "million": lambda: measure_memory(args.million),
    }
    result: dict[str, Any] = {name: measure() for name, measure in parts.items() if args.only in (None, name)}
    result["machine"] = {
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "pillow": PIL.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
