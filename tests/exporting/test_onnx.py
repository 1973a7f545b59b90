import math
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
import torch_fidelity
from torch import nn
from torch_fidelity import FeatureExtractorBase
from torch_fidelity.fidelity import main as fidelity

import dcgan
from dcgan import UserError
from dcgan.cli.main import run
from dcgan.exporting import onnx
from dcgan.images import to_uint8
from dcgan.models import build
from dcgan.presets import configure
from dcgan.run.folder import RunFolder
from dcgan.sampling import latents
from dcgan.sampling import model as model_module
from dcgan.sampling.output import write_sample_stream
from dcgan.system.install import install_command
from tests.rounding import assert_equal_up_to_rounding


def make_model(
    network: str, classes: int = 0, norm: str = "batch", channels: int = 1, side: int = 28
) -> model_module.Model:
    config = configure("dcgan", network=network, z_dim=6, g_width=8, g_norm=norm, d_norm="none")
    generator, _ = build.build_networks(config, (channels, side, side), classes)
    z, labels = torch.randn(200, 6), latents.cycle_labels(200, classes)
    generator.train()(*[t for t in (z, labels) if t is not None])  # so that the BatchNorm statistics matter
    return model_module.Model(generator.eval().requires_grad_(False), "here")


def run_onnx(path: Path, *inputs: torch.Tensor) -> np.ndarray:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [node.name for node in session.get_inputs()]
    assert names == ["z", "label"][: len(inputs)]
    return session.run(["images"], {name: t.numpy() for name, t in zip(names, inputs, strict=True)})[0]


FAMILIES, NORMS = ("mlp", "dcgan", "dcgan64"), ("batch", "layer", "none", "spectral")
NETWORKS = [(network, norm) for network in FAMILIES for norm in NORMS]
NETWORKS += [("dcgan", "instance"), ("dcgan64", "instance"), ("resnet", "none")]


@pytest.mark.parametrize(("network", "norm"), NETWORKS)
@pytest.mark.parametrize("classes", [0, 3])
def test_onnx_draws_what_pytorch_draws_at_any_batch_size(network: str, norm: str, classes: int, tmp_path: Path):
    model = make_model(network, classes, norm)
    onnx.export_onnx(model, tmp_path / "g.onnx")
    for n in (1, 2, 7):
        inputs = [t for t in (torch.randn(n, 6), latents.cycle_labels(n, classes)) if t is not None]
        images = run_onnx(tmp_path / "g.onnx", *inputs)
        assert images.shape == (n, 1, 28, 28)
        assert images.dtype == np.float32
        assert_equal_up_to_rounding(torch.from_numpy(images), model.generator, *inputs)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["g.onnx"]


def test_images_that_are_not_square(tmp_path: Path):
    config = configure("vanilla", network="dcgan64", z_dim=6, g_width=4)
    generator, _ = build.build_networks(config, (3, 24, 40))
    onnx.export_onnx(model_module.Model(generator.eval(), "here"), tmp_path / "g.onnx")
    assert run_onnx(tmp_path / "g.onnx", torch.randn(5, 6)).shape == (5, 3, 24, 40)


@pytest.mark.parametrize("channels", [1, 3])
def test_uint8_images_for_torch_fidelity_are_the_samples(channels: int, tmp_path: Path):
    model = make_model("dcgan64", channels=channels)
    onnx.export_onnx(model, tmp_path / "g.onnx", for_torch_fidelity=True)
    z = torch.randn(50, 6)
    images, expected = run_onnx(tmp_path / "g.onnx", z), to_uint8(model.generator(z)).transpose(0, 3, 1, 2)
    assert images.shape == (50, 3, 28, 28)
    assert images.dtype == np.uint8
    assert np.abs(images.astype(int) - expected.astype(int)).max() <= 1  # a value on the border of two may round up
    assert (images == expected).mean() > 0.999


def test_transparent_images_are_composited_on_white(tmp_path: Path):
    model = make_model("dcgan64", channels=4)
    onnx.export_onnx(model, tmp_path / "g.onnx", for_torch_fidelity=True)
    z = torch.randn(5, 6)
    r, _, _, a = ((model.generator(z) + 1) * 127.5).unbind(1)
    images = run_onnx(tmp_path / "g.onnx", z)[:, 0]
    assert np.abs(images - (r * a / 255 + 255 - a).numpy()).max() <= 0.51  # half a level, and rounding


class MeanAndSpread(FeatureExtractorBase):
    """Returns two numbers for each image, so that no weights are needed."""

    def __init__(self, name: str, features_list: list[str], **kwargs: object) -> None:
        super().__init__(name, features_list)

    def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor]:
        assert pixels.dtype == torch.uint8
        assert pixels.shape[1] == 3
        flat = pixels.float().flatten(1)
        return (torch.stack([flat.mean(1), flat.std(1)], 1),)

    @staticmethod
    def get_provided_features_list() -> tuple[str, ...]:
        return ("two",)

    @staticmethod
    def get_default_feature_layer_for_metric(metric: str) -> str:
        return "two"

    @staticmethod
    def can_be_compiled() -> bool:
        return False

    @staticmethod
    def get_dummy_input_for_compile() -> torch.Tensor:
        return torch.zeros(1, 3, 4, 4, dtype=torch.uint8)


@pytest.mark.parametrize("classes", [0, 10])
@pytest.mark.filterwarnings("ignore")
def test_the_command_of_torch_fidelity_reads_it(
    classes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    torch_fidelity.register_feature_extractor(f"two-{classes}", MeanAndSpread)
    model = make_model("dcgan64", classes)
    onnx.export_onnx(model, tmp_path / "g.onnx", for_torch_fidelity=True)
    write_sample_stream(model.stream(128, seed=3), tmp_path / "pictures")
    monkeypatch.setattr(np, "int", int, raising=False)  # torch-fidelity 0.4 draws classes with it; NumPy has dropped it
    words = f"fidelity --input1 {tmp_path}/g.onnx --input1-model-z-type normal --input1-model-z-size 6 "
    words += f"--input1-model-num-classes {classes} --input1-model-num-samples 256 --input2 {tmp_path}/pictures "
    words += f"--feature-extractor two-{classes} --fid --no-cache --json --batch-size 32 --silent"
    monkeypatch.setattr(sys, "argv", words.split())
    fidelity()
    out = capsys.readouterr().out
    distance = float(out.partition('"frechet_inception_distance": ')[2].split("\n")[0].rstrip(",}"))
    spread = model.sample(256, seed=9).reshape(256, -1).mean(1).var()
    assert math.isfinite(distance)
    assert distance < spread  # both sets come from the same distribution


def test_a_file_that_differs_from_pytorch_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    other, write_onnx = make_model("mlp").generator, onnx._write_onnx
    monkeypatch.setattr(onnx, "_write_onnx", lambda network, inputs, path: write_onnx(other, inputs, path))
    for for_torch_fidelity in (False, True):
        with pytest.raises(UserError, match=r"differs from PyTorch in float64 by .* nothing was written"):
            onnx.export_onnx(make_model("dcgan"), tmp_path / "g.onnx", for_torch_fidelity=for_torch_fidelity)
    assert list(tmp_path.iterdir()) == []


def load_disturbed(name: str, disturbance: float, *, in_file: bool) -> model_module.Model:
    """Load a model whose images are disturbed: those of the file, or those that PyTorch computes in float32.

    The latter is what another CPU does: the file is right, and PyTorch's own float32 is not.
    """
    model = dcgan.load(name)

    def disturb(network: nn.Module, inputs: tuple[torch.Tensor, ...], images: torch.Tensor) -> torch.Tensor:
        is_disturbed = torch.jit.is_tracing() == in_file and images.dtype == torch.float32
        return images + disturbance if is_disturbed else images

    model.generator.register_forward_hook(disturb)
    return model


SHIPPED_MODELS = [("mnist", False), ("mnist-dcgan", False), ("mnist-dcgan", True), ("mnist-cgan", False)]


@pytest.mark.parametrize(("name", "for_torch_fidelity"), SHIPPED_MODELS)
def test_a_shipped_model_is_exported_although_the_cpu_rounds(name: str, for_torch_fidelity: bool, tmp_path: Path):
    """With some kernels, PyTorch's float32 is 3.4e-5 from its float64, and the file is right."""
    model = load_disturbed(name, 3.4e-5, in_file=False)
    assert onnx.export_onnx(model, tmp_path / "g.onnx", for_torch_fidelity=for_torch_fidelity) < 1e-4


@pytest.mark.parametrize(("name", "for_torch_fidelity"), SHIPPED_MODELS)
def test_a_fault_of_the_file_is_refused_and_one_of_rounding_is_not(name: str, for_torch_fidelity: bool, tmp_path: Path):
    small, large = (load_disturbed(name, disturbance, in_file=True) for disturbance in (3e-5, 1e-3))
    onnx.export_onnx(small, tmp_path / "g.onnx", for_torch_fidelity=for_torch_fidelity)
    with pytest.raises(UserError, match="nothing was written"):
        onnx.export_onnx(large, tmp_path / "h.onnx", for_torch_fidelity=for_torch_fidelity)
    assert [path.name for path in tmp_path.iterdir()] == ["g.onnx"]


@pytest.mark.parametrize("network", ["mlp", "dcgan", "resnet"])
def test_where_rounding_decides_the_right_file_is_written_and_another_is_not(
    network: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Weights that are twenty times too large: float32 is wrong by up to 0.01, so a single value proves nothing."""
    model, other = make_model(network, norm="none"), make_model(network, norm="none")
    for weight, other_weight in zip(model.generator.parameters(), other.generator.parameters(), strict=True):
        weight.mul_(20)
        other_weight.copy_(weight.flip(0))
    onnx.export_onnx(model, tmp_path / "g.onnx")
    write_onnx = onnx._write_onnx
    monkeypatch.setattr(onnx, "_write_onnx", lambda network, inputs, path: write_onnx(other.generator, inputs, path))
    with pytest.raises(UserError, match="nothing was written"):
        onnx.export_onnx(model, tmp_path / "h.onnx")


@pytest.mark.slow
@pytest.mark.parametrize(
    "variables",
    [{"ONEDNN_MAX_CPU_ISA": "SSE41"}, {"ATEN_CPU_CAPABILITY": "default"}, {"OMP_NUM_THREADS": "2"}],
    ids=str,
)
def test_a_shipped_model_is_exported_with_the_kernels_of_other_cpus(variables: dict[str, str], tmp_path: Path):
    """They are chosen when torch is imported."""
    command = [sys.executable, "-m", "dcgan", "export", "mnist-dcgan", "--out", str(tmp_path / "g.onnx")]
    result = subprocess.run(command, env=os.environ | variables, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


def test_the_export_command(finished_run: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert run(["export", str(finished_run.path), "--out", str(tmp_path / "new" / "g.onnx"), "--json"]) == 0
    assert '"difference": ' in capsys.readouterr().out
    z = latents.draw_latents(0, 64, 8)
    pixels = to_uint8(torch.from_numpy(run_onnx(tmp_path / "new" / "g.onnx", z)))
    assert np.abs(pixels.astype(int) - dcgan.load(finished_run).sample(64).astype(int)).max() <= 1
    assert run(["export", str(finished_run.path), "--for-torch-fidelity", "--out", str(tmp_path / "b.onnx")]) == 0
    assert "--input1-model-z-size 8 --input1-model-num-classes 0" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--out", "g.png"], "give a .onnx"),
        (["--out", "g.onnx", "--push", "a/b"], "--push can be used with --format safetensors, not with onnx"),
        (["--out", "g.onnx", "--single-file"], "--single-file can be used with --format web, not with onnx"),
        (["--out", "g", "--format", "web", "--for-torch-fidelity"], "can be used with --format onnx, not with web"),
        (["--out", "g", "--format", "web", "--single-file"], "give a .html"),
        (["--out", "g.html", "--format", "web"], "give a folder"),
        (["--out", "g.onnx"], "there is no nowhere"),
        (["--out", "g.onnx", "--format", "jpeg"], "onnx"),
    ],
)
def test_mistakes_are_one_line(words: list[str], message: str, refused: Callable[..., str]):
    assert message in refused("export", "nowhere", *words)


def test_the_error_says_which_extra_to_install(
    finished_run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: Callable[..., str]
):
    monkeypatch.setattr("dcgan.system.install.find_spec", lambda name: None)
    line = refused("export", str(finished_run.path), "--out", str(tmp_path / "g.onnx"))
    assert f"an export needs onnx and onnxruntime: {install_command('export')}" in line
