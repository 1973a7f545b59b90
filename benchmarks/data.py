"""What data costs: preparing it, drawing a batch of it, and the memory of a set that is larger than memory.

    python -m benchmarks.data [--files 2000] [--million 1000000] [--only decode|draw|loader|million]

Prints JSON. The pictures are made here; the cache goes to a temporary folder.
"""

import argparse
import json
import lzma
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


def photos(folder: Path, count: int, kind: str) -> list[str]:
    """Made-up photographs of 500 x 375, each another."""
    source = np.random.default_rng(0)
    folder.mkdir()
    for i in range(count):
        coarse = source.integers(0, 256, (12, 16, 3)).astype(np.uint8)
        image = Image.fromarray(coarse).resize((500, 375), Image.Resampling.BICUBIC)
        image.save(folder / f"{i:05d}.{kind}", quality=90)
    return sorted(str(path) for path in folder.iterdir())


def bare(files: list[str]) -> float:
    """Files a second of a plain Pillow loop in one process: open, decode, crop, resize."""
    begin = time.perf_counter()
    for file in files:
        with Image.open(file) as image:
            wide = image.convert("RGB")
            left = (wide.width - wide.height) // 2
            np.asarray(wide.resize(SIZE, Image.Resampling.BICUBIC, box=(left, 0, left + wide.height, wide.height)))
    return len(files) / (time.perf_counter() - begin)


def together(files: list[str], workers: int) -> float:
    """Files a second of that loop in several processes at once: what this machine has for decoding."""
    code = (
        "import sys, benchmarks.data as b; b.bare(sys.argv[1:2]); print('r', flush=True); input(); b.bare(sys.argv[1:])"
    )
    parts = [files[i::workers] for i in range(workers)]
    processes = [
        subprocess.Popen([sys.executable, "-c", code, *part], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for part in parts
    ]
    for process in processes:
        assert process.stdout is not None
        process.stdout.readline()
    begin = time.perf_counter()
    for process in processes:
        assert process.stdin is not None
        process.stdin.write(b"\n")
        process.stdin.flush()
    for process in processes:
        process.wait()
    return len(files) / (time.perf_counter() - begin)


def _cpu() -> float:
    """Seconds of processor time of this process and its children that have ended: other programs do not count."""
    own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def decode(count: int) -> dict[str, Any]:
    """Preparing a folder, beside the bare loop in one process and in as many as there are cores."""
    from dcgan.data.decode_workers import usable_cores
    from dcgan.data.open import open_images

    found: dict[str, Any] = {"files": count, "workers": usable_cores()}
    for kind in ("jpg", "png"):
        with tempfile.TemporaryDirectory() as place:
            files = photos(Path(place) / "photos", count, kind)
            one, ours, several, again, cpu = [], [], [], [], []
            for turn in range(3):
                os.environ["DCGAN_CACHE"] = f"{place}/cache{turn}"
                start = _cpu()
                one.append(bare(files[: count // 4]))
                bare_cpu = (_cpu() - start) / (count // 4)
                several.append(together(files, usable_cores()))
                begin, start = time.perf_counter(), _cpu()
                open_images(f"{place}/photos", size=SIZE)
                cpu.append(bare_cpu / ((_cpu() - start) / count))
                ours.append(count / (time.perf_counter() - begin))
                begin = time.perf_counter()
                open_images(f"{place}/photos", size=SIZE)
                again.append(time.perf_counter() - begin)
            rates = {name: statistics.median(r) for name, r in (("one", one), ("several", several), ("ours", ours))}
            found[kind] = {
                "bare_files_per_second": rates["one"],
                "bare_in_all_processes_at_once": rates["several"],
                "prepared_files_per_second": rates["ours"],
                "share_of_bare_times_workers": rates["ours"] / (rates["one"] * usable_cores()),
                "share_of_bare_in_all_processes": rates["ours"] / rates["several"],
                "bare_processor_time_over_ours": statistics.median(cpu),
                "reopened_in_seconds": statistics.median(again),
            }
    return found


def reopen(count: int) -> dict[str, Any]:
    """How long a prepared set of small files takes to open."""
    from dcgan.data.open import open_images

    with tempfile.TemporaryDirectory() as place:
        os.environ["DCGAN_CACHE"] = f"{place}/cache"
        folder = Path(place) / "small"
        folder.mkdir()
        for i in range(count):
            Image.new("L", (16, 16), i % 256).save(folder / f"{i}.png")
        times = []
        for _ in range(4):
            begin = time.perf_counter()
            open_images(str(folder), size=(16, 16))
            times.append(time.perf_counter() - begin)
    return {"files": count, "first_seconds": times[0], "again_seconds": statistics.median(times[1:])}


def draw() -> dict[str, Any]:
    """Drawing a batch of 128 as a share of a default training step."""
    from dcgan.data.sampler import next_batch_indices
    from dcgan.presets import configure
    from dcgan.training.state import set_up
    from dcgan.training.step import reals, train_step

    state = set_up(configure("dcgan", device="cpu"))
    step = _milliseconds(lambda: train_step(state), 30)
    at = iter(range(0, 10**9, 128))
    batch = _milliseconds(lambda: reals(state, next_batch_indices(len(state.data), 128, next(at), 0)), 2000)
    return {"batch_ms": batch, "step_ms": step, "share": batch / step}


def loader() -> dict[str, Any]:
    """Images a second of MNIST from our array, and from DataLoader + ToTensor + Normalize."""
    from importlib.resources import files

    import torch
    from torch.utils.data import DataLoader
    from torchvision import transforms
    from torchvision.datasets import MNIST

    from dcgan.data.sampler import next_batch_indices
    from dcgan.presets import configure
    from dcgan.training.state import set_up
    from dcgan.training.step import reals

    state = set_up(configure("dcgan", device="cpu"))
    n = len(state.data)
    with tempfile.TemporaryDirectory() as place:
        raw = Path(place) / "MNIST" / "raw"
        raw.mkdir(parents=True)
        for file in (files("dcgan.data") / "mnist_idx").iterdir():
            if file.name.endswith(".xz"):
                (raw / file.name.removesuffix(".xz")).write_bytes(lzma.decompress(file.read_bytes()))
        transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize(0.5, 0.5)])
        theirs = DataLoader(MNIST(place, transform=transform), batch_size=128, shuffle=True)
        rates: dict[str, list[float]] = {"ours": [], "theirs": []}
        for _ in range(3):
            begin = time.perf_counter()
            for k, _batch in enumerate(theirs):
                if k == 79:
                    break
            rates["theirs"].append(80 * 128 / (time.perf_counter() - begin))
            begin = time.perf_counter()
            for seen in range(0, n, 128):
                reals(state, next_batch_indices(n, 128, seen, 0))
            rates["ours"].append(n / (time.perf_counter() - begin))
    ours, other = statistics.median(rates["ours"]), statistics.median(rates["theirs"])
    return {"ours": ours, "dataloader": other, "ratio": ours / other, "threads": torch.get_num_threads()}


def million(count: int) -> dict[str, Any]:
    """A sparse set of `count` gray pictures of 64 x 64: the most anonymous memory while preparing and training."""
    from dcgan.data.open import open_images
    from dcgan.data.sampler import next_batch_indices
    from dcgan.images import to_float
    from dcgan.presets import configure
    from dcgan.training.state import set_up
    from dcgan.training.step import train_step

    found: dict[str, Any] = {"pictures": count, "start_mib": _anonymous()}
    with tempfile.TemporaryDirectory(dir="/var/tmp") as place, _Watch() as watch:
        os.environ["DCGAN_CACHE"] = f"{place}/cache"
        array = np.lib.format.open_memmap(f"{place}/m.npy", "w+", np.uint8, (count, 64, 64))
        array[:: max(1, count // 1000)] = np.random.default_rng(0).integers(0, 256, (64, 64))
        del array
        begin = time.perf_counter()
        images = open_images(f"{place}/m.npy", size=SIZE)
        found |= {"prepare_seconds": time.perf_counter() - begin, "prepare_peak_mib": watch.peak()}
        begin = time.perf_counter()
        for seen in range(0, 300 * 128, 128):
            to_float(images.pixels[next_batch_indices(len(images), 128, seen, 0)])
        found |= {"draw_ms": 1000 * (time.perf_counter() - begin) / 300, "draw_peak_mib": watch.peak()}
        state = set_up(configure("dcgan64", data=f"{place}/m.npy", device="cpu"))
        for _ in range(20):
            train_step(state)
        found["train_peak_mib"] = watch.peak()
    return found


class _Watch:
    """The most anonymous memory of this process, looked at every 20 ms."""

    def __enter__(self) -> "_Watch":
        self.most, self.over = 0, threading.Event()
        self.thread = threading.Thread(target=self._look, daemon=True)
        self.thread.start()
        return self

    def _look(self) -> None:
        while not self.over.wait(0.02):
            self.most = max(self.most, _anonymous())

    def peak(self) -> int:
        """MiB since the last call."""
        most, self.most = max(self.most, _anonymous()), 0
        return most

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.thread.join()


def _anonymous() -> int:
    status = Path("/proc/self/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("RssAnon"))) >> 10


def _milliseconds(call: Callable[[], object], times: int) -> float:
    for _ in range(5):
        call()
    taken = []
    for _ in range(times):
        begin = time.perf_counter()
        call()
        taken.append(time.perf_counter() - begin)
    return 1000 * statistics.median(taken)


def main() -> None:
    import torch

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--million", type=int, default=1_000_000)
    parser.add_argument("--only", choices=["decode", "reopen", "draw", "loader", "million"])
    args = parser.parse_args()
    parts: dict[str, Callable[[], dict[str, Any]]] = {
        "decode": lambda: decode(args.files),
        "reopen": lambda: reopen(10_000),
        "draw": draw,
        "loader": loader,
        "million": lambda: million(args.million),
    }
    found: dict[str, Any] = {name: part() for name, part in parts.items() if args.only in (None, name)}
    found["machine"] = {
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "pillow": PIL.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
    }
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
