from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import dcgan
from dcgan import UserError
from dcgan.data.sampler import next_batch_indices
from dcgan.devices.single import SingleDevice
from dcgan.presets import configure
from dcgan.training.set_up import planned_images, set_up
from dcgan.training.state import describe_arithmetic, is_same_arithmetic
from dcgan.training.step import train_step
from tests.conftest import SMALL


@given(
    n=st.integers(1, 40), batch_size=st.integers(1, 50), steps=st.integers(1, 30), n_critic=st.integers(1, 3),
)  # fmt: skip
def test_a_duration_in_steps_is_that_many_steps(n: int, batch_size: int, steps: int, n_critic: int):
    planned = planned_images(configure("dcgan", steps=steps, batch_size=batch_size, n_critic=n_critic), n)
    images_seen = steps_done = 0
    while images_seen < planned:
        for _ in range(n_critic):
            images_seen += len(next_batch_indices(n, batch_size, images_seen, 0))
        steps_done += 1
    assert steps_done == steps


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
def test_a_missing_device_is_refused():
    with pytest.raises(UserError, match="no cuda device"):
        dcgan.train("dcgan", device="cuda")


@pytest.mark.parametrize(
    ("preset", "shape", "expected"),
    [("cgan", (20, 24), "20x24"), ("wgan-gp", (100, 90), 64), ("r3gan", (16, 16), 16), ("dcgan", (20, 24), 28)],
)
def test_a_preset_uses_the_size_of_the_data(tmp_path: Path, preset: str, shape: tuple[int, int], expected: object):
    pixels = np.random.default_rng(0).integers(0, 256, (8, *shape, 3), np.uint8)
    np.savez(tmp_path / "a.npz", arr_0=pixels, arr_1=np.arange(8) % 2)
    small = {"g_width": 2, "d_width": 2, "z_dim": 3, "batch_size": 4, "device": "cpu"}
    state = set_up(configure(preset, data=str(tmp_path / "a.npz"), **small))
    assert state.config.image_size == expected
    train_step(state)
    assert state.sums.totals.isfinite().all()


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")  # torch's tracer reads them
@pytest.mark.parametrize(
    "preset", ["fast", "wgan-gp", *(pytest.param(name, marks=pytest.mark.slow) for name in ("cgan", "r3gan"))]
)
def test_compiled_networks_learn_the_same(preset: str, monkeypatch: pytest.MonkeyPatch):
    from dcgan.devices import connect
    from dcgan.training import set_up as set_up_module

    for module in (connect, set_up_module):
        monkeypatch.setattr(module, "COMPILE_BACKEND", "aot_eager")  # all of torch.compile except the C++ compiler
    small = {name: value for name, value in SMALL.items() if name != "z_dim"} | {"z_dim": 12}
    plain, compiled = (set_up(configure(preset, compile=c, **small)) for c in (False, True))
    assert plain.generator.state_dict().keys() == compiled.generator.state_dict().keys()
    for _ in range(2):
        train_step(plain)
        train_step(compiled)
    assert torch.allclose(plain.sums.totals, compiled.sums.totals, rtol=1e-4, atol=1e-5)
    weights = compiled.generator.state_dict()
    for name, weight in plain.generator.state_dict().items():
        difference = (weight - weights[name]).double().abs()
        # where a gradient is nearly 0, rounding decides its sign, and Adam moves the weight by the learning rate
        assert difference.max() <= 4 * plain.config.lr, name
        assert difference.mean() <= 1e-5, name


def test_without_a_compiler_one_line_is_printed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    def missing(*_: object, **__: object) -> object:
        raise RuntimeError("no C++ compiler\nin sight")

    monkeypatch.setattr(torch, "compile", missing)
    state = set_up(configure("fast", compile=True, **SMALL))
    train_step(state)
    assert capsys.readouterr().err == (
        "--compile is ignored: these networks cannot be compiled for cpu here (no C++ compiler in sight)\n"
    )


@pytest.mark.parametrize(
    ("saved", "is_same"),
    [
        ("1 x cpu (2 threads, AVX2), torch 2.14.1", True),
        ("1 x cpu (2 threads), torch 2.14.1", True),  # of version 0.1.0
        ("1 x cpu (2 threads, AVX512), torch 2.14.1", False),
        ("1 x cpu (1 threads, AVX2), torch 2.14.1", False),
        ("1 x cpu (1 threads), torch 2.14.1", False),
        ("1 x cuda (NVIDIA H100), torch 2.14.1", False),
        (None, False),
    ],
)
def test_the_arithmetic_of_another_cpu_is_another(saved: str | None, is_same: bool):
    assert is_same_arithmetic(saved, "1 x cpu (2 threads, AVX2), torch 2.14.1") is is_same


def test_the_arithmetic_names_what_decides_how_it_rounds():
    text = describe_arithmetic(SingleDevice())
    assert f"({torch.get_num_threads()} threads, {torch.backends.cpu.get_cpu_capability()})" in text
    assert is_same_arithmetic(text, text)
