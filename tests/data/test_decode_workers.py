import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from dcgan.data import decode_workers
from dcgan.data.decode import DecodedImage, ResizeOptions, decode_files

OPTIONS = ResizeOptions(16, 16, None, "crop")


@pytest.fixture(scope="module")
def locations(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, None]]:
    folder = tmp_path_factory.mktemp("many")
    for i in range(300):
        mode, color = (("L", i % 256), ("RGB", (i % 256, 0, 9)), ("RGBA", (1, 2, 3, i % 256)))[i % 3]
        Image.new(mode, (10 + i % 20, 30), color).save(folder / f"{i:03d} é.png")
    (folder / "007 é.png").write_bytes(b"broken")
    return [(str(path), None) for path in sorted(folder.iterdir())]


def are_equal(a: DecodedImage | str, b: DecodedImage | str) -> bool:
    if isinstance(a, str) or isinstance(b, str):
        return a == b
    has_equal_pixels = (a.pixels == b.pixels).all()
    return has_equal_pixels and (a.original_size, a.mode, a.digest) == (b.original_size, b.mode, b.digest)


@pytest.fixture
def _two_cores(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(decode_workers, "usable_core_count", lambda: 2)


@pytest.mark.usefixtures("_two_cores")
def test_several_processes_give_the_results_of_one_in_the_same_order(locations):
    results = list(decode_workers.decode_in_processes(locations, OPTIONS))
    assert len(results) == len(locations)
    assert all(map(are_equal, results, decode_files(locations, OPTIONS)))


@pytest.mark.usefixtures("_two_cores")
def test_no_process_is_left_when_the_caller_stops_early(locations, monkeypatch: pytest.MonkeyPatch):
    processes = []
    start = decode_workers._Worker.__init__

    def start_and_record(worker: decode_workers._Worker, options: ResizeOptions) -> None:
        start(worker, options)
        processes.append(worker.process)

    monkeypatch.setattr(decode_workers._Worker, "__init__", start_and_record)
    results = decode_workers.decode_in_processes(locations, OPTIONS)
    next(results)
    results.close()
    assert len(processes) == 2
    assert all(process.poll() is not None for process in processes)


def test_a_process_ends_with_its_parent():
    worker = decode_workers._Worker(OPTIONS)
    worker.process.stdin.close()  # as the system does when the parent is killed
    assert worker.process.wait(timeout=120) == 0
    worker.process.stdout.close()


def test_a_process_that_dies_is_replaced_and_the_file_is_named(locations, monkeypatch: pytest.MonkeyPatch):
    pool = decode_workers._WorkerPool(1, OPTIONS)
    try:
        pool.workers[0].process.kill()
        pool.workers[0].process.wait()
        assert all(map(are_equal, pool.decode(locations[:3]), decode_files(locations[:3], OPTIONS)))
        deadly = locations[1]
        decode = decode_workers._Worker.decode

        def decode_or_die(worker: decode_workers._Worker, requested: list) -> list:
            if deadly in requested:
                worker.process.kill()
                worker.process.wait()
            return decode(worker, requested)

        monkeypatch.setattr(decode_workers._Worker, "decode", decode_or_die)
        first, second, third = pool.decode(locations[:3])
        assert isinstance(first, DecodedImage)
        assert "crashed" in second
        assert isinstance(third, DecodedImage)
    finally:
        pool.close()


def test_one_core_starts_no_process(locations, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(decode_workers, "usable_core_count", lambda: 1)
    monkeypatch.setattr(decode_workers, "_Worker", None)
    assert len(list(decode_workers.decode_in_processes(locations[:40], OPTIONS))) == 40


def test_a_decoding_process_loads_no_torch(tmp_path: Path):
    code = "import sys, dcgan.data.decode_workers; assert not {'torch', 'torchvision', 'tqdm'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path)
