from pathlib import Path

import pytest
from PIL import Image

from dcgan.data import decode_workers
from dcgan.data.decode import DecodedImage, ResizeOptions, decode_all

OPTIONS = ResizeOptions(16, 16, None, "crop")


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, None]]:
    folder = tmp_path_factory.mktemp("many")
    for i in range(300):
        mode, colour = (("L", i % 256), ("RGB", (i % 256, 0, 9)), ("RGBA", (1, 2, 3, i % 256)))[i % 3]
        Image.new(mode, (10 + i % 20, 30), colour).save(folder / f"{i:03d} é.png")
    (folder / "007 é.png").write_bytes(b"broken")
    return [(str(path), None) for path in sorted(folder.iterdir())]


def same(a: DecodedImage | str, b: DecodedImage | str) -> bool:
    if isinstance(a, str) or isinstance(b, str):
        return a == b
    return (a.pixels == b.pixels).all() and (a.size, a.mode, a.digest) == (b.size, b.mode, b.digest)


@pytest.fixture
def _two(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(decode_workers, "usable_cores", lambda: 2)


@pytest.mark.usefixtures("_two")
def test_several_processes_give_what_one_gives_in_the_same_order(places):
    several = list(decode_workers.decode_in_processes(places, OPTIONS))
    assert len(several) == len(places)
    assert all(map(same, several, decode_all(places, OPTIONS)))


@pytest.mark.usefixtures("_two")
def test_no_process_is_left_when_one_stops_early(places, monkeypatch: pytest.MonkeyPatch):
    started = []
    start = decode_workers._Worker.__init__

    def watched(worker: decode_workers._Worker, options: ResizeOptions) -> None:
        start(worker, options)
        started.append(worker.process)

    monkeypatch.setattr(decode_workers._Worker, "__init__", watched)
    results = decode_workers.decode_in_processes(places, OPTIONS)
    next(results)
    results.close()
    assert len(started) == 2
    assert all(process.poll() is not None for process in started)


def test_a_process_ends_with_its_parent():
    worker = decode_workers._Worker(OPTIONS)
    worker.process.stdin.close()  # what the system does when the parent is killed
    assert worker.process.wait(timeout=120) == 0
    worker.process.stdout.close()


def test_a_process_that_dies_is_replaced_and_the_file_named(places, monkeypatch: pytest.MonkeyPatch):
    ask = decode_workers._Ask(1, OPTIONS)
    try:
        ask.all[0].process.kill()
        ask.all[0].process.wait()
        assert all(map(same, ask(places[:3]), decode_all(places[:3], OPTIONS)))
        deadly = places[1]
        honest = decode_workers._Worker.ask

        def dying(worker: decode_workers._Worker, some: list) -> list:
            if deadly in some:
                worker.process.kill()
                worker.process.wait()
            return honest(worker, some)

        monkeypatch.setattr(decode_workers._Worker, "ask", dying)
        first, second, third = ask(places[:3])
        assert isinstance(first, DecodedImage)
        assert "crashed" in second
        assert isinstance(third, DecodedImage)
    finally:
        ask.close()


def test_one_core_starts_no_process(places, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(decode_workers, "usable_cores", lambda: 1)
    monkeypatch.setattr(decode_workers, "_Worker", None)
    assert len(list(decode_workers.decode_in_processes(places[:40], OPTIONS))) == 40


def test_a_decoding_process_loads_no_torch(tmp_path: Path):
    import subprocess
    import sys

    code = "import sys, dcgan.data.workers; assert not {'torch', 'torchvision', 'tqdm'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path)
