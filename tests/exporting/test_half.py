"""ONNX in half precision."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

import dcgan
from dcgan.cli.main import run
from dcgan.errors import UserError
from dcgan.exporting import half
from dcgan.exporting.onnx import OPSET_VERSION, export_onnx
from dcgan.models.grouped_generator import GroupedGenerator
from dcgan.models.shipped import SHIPPED_NAMES
from dcgan.sampling import latents
from tests.exporting.test_onnx import NETWORKS, make_model, run_onnx

FLOAT32 = onnx.TensorProto.FLOAT
LEVELS = 127.5


def count_bytes(path: Path, data_type: int) -> int:
    return sum(len(t.raw_data) for t in onnx.load(path).graph.initializer if t.data_type == data_type)


@pytest.mark.parametrize("name", SHIPPED_NAMES)
def test_the_samples_of_the_models_in_the_package_stay_the_same_within_a_few_levels(name: str, tmp_path: Path):
    """Of `mnist`, whose latents choose among groups, half precision alone changes pictures by up to 75 levels."""
    model = dcgan.load(name)
    largest = export_onnx(model, tmp_path / "h.onnx", half=True)
    assert 0 < largest * LEVELS < 4
    z = latents.draw_latents(7, 400, model.generator.z_dim)
    inputs = [t for t in (z, model.labels(400)) if t is not None]
    differences = run_onnx(tmp_path / "h.onnx", *inputs) - model.generator(*inputs).detach().numpy()
    assert np.abs(differences).max() * LEVELS < 8
    assert np.sqrt((differences**2).mean()) * LEVELS < 0.5


@pytest.mark.parametrize(("network", "norm"), NETWORKS)
@pytest.mark.parametrize("classes", [0, 3])
def test_every_network_draws_at_any_batch_size(network: str, norm: str, classes: int, tmp_path: Path):
    model = make_model(network, classes, norm)
    export_onnx(model, tmp_path / "h.onnx", half=True)
    for n in (1, 2, 7):
        inputs = [t for t in (torch.randn(n, 6), latents.cycle_labels(n, classes)) if t is not None]
        images = run_onnx(tmp_path / "h.onnx", *inputs)
        assert images.shape == (n, 1, 28, 28)
        assert images.dtype == np.float32
        assert np.abs(images - model.generator(*inputs).detach().numpy()).max() * LEVELS < 8
    assert [p.name for p in tmp_path.iterdir()] == ["h.onnx"]


def test_the_file_has_half_the_size_and_names_its_opset(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    for flags in ([], ["--half"]):
        assert run(["export", "mnist-dcgan", "--out", str(tmp_path / f"{len(flags)}.onnx"), "--json", *flags]) == 0
    full, small = map(json.loads, capsys.readouterr().out.splitlines())
    assert full["opset"] == small["opset"] == OPSET_VERSION == onnx.load(tmp_path / "1.onnx").opset_import[0].version
    assert 0.45 < small["bytes"] / full["bytes"] < 0.55
    assert count_bytes(tmp_path / "1.onnx", FLOAT32) < 0.01 * count_bytes(tmp_path / "0.onnx", FLOAT32)
    session = onnxruntime.InferenceSession(str(tmp_path / "1.onnx"), providers=["CPUExecutionProvider"])
    assert [(i.name, i.type, i.shape[0]) for i in session.get_inputs()] == [("z", "tensor(float)", "n")]


def test_the_text_says_how_near_the_pictures_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert run(["export", "mnist", "--out", str(tmp_path / "h.onnx"), "--half"]) == 0
    out = capsys.readouterr().out
    assert "opset 18, z 192, pictures 1x28x28, half precision, within 0." in out
    assert out.endswith(" of 255 levels of float32\n")


def test_what_decides_on_a_group_stays_in_full_precision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    model = dcgan.load("mnist")
    assert isinstance(model.generator, GroupedGenerator)
    monkeypatch.setattr(half, "FLOAT32_OPERATIONS", ())
    with pytest.raises(UserError, match=r"differ by up to .* of 255 levels .* nothing was written, export without"):
        export_onnx(model, tmp_path / "h.onnx", half=True)
    assert not list(tmp_path.iterdir())


def test_pictures_that_are_not_finite_are_refused(tmp_path: Path):
    model = make_model("mlp")
    with torch.no_grad():
        next(p for p in model.generator.parameters() if p.dim() == 2).mul_(1e6)  # beyond float16's largest number
    with pytest.raises(UserError, match="in half precision the pictures differ by up to"):
        export_onnx(model, tmp_path / "h.onnx", half=True)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--half", "--format", "space"], "--half can be used with --format onnx or web, not with space"),
        (["--half", "--for-torch-fidelity"], "--half cannot be used with --for-torch-fidelity"),
    ],
)
def test_flags_that_do_not_go_together(refused: Callable[..., str], tmp_path: Path, flags: list[str], message: str):
    assert message in refused("export", "mnist", "--out", str(tmp_path / "x.onnx"), *flags)
