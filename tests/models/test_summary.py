from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from dcgan import Discriminator, Generator
from dcgan.models import upsample
from dcgan.models.build import build_networks
from dcgan.models.summary import summarize
from dcgan.presets import PRESETS, configure
from tests.models.conftest import parameter_count


def test_rows_of_the_study():
    rows = summarize(Generator(64), (64,))
    assert [r.output for r in rows if r.kind == "ConvTranspose2d"] == [
        (256, 3, 3),
        (128, 6, 6),
        (64, 13, 13),
        (1, 28, 28),
    ]
    assert rows[0].formula == "(1 - 1)*2 - 2*0 + 1*(3 - 1) + 0 + 1 = 3"
    assert sum(r.parameters for r in rows) == 747_841
    # by hand: in * out * kernel^2 * input pixels, layer by layer
    assert sum(r.multiply_adds for r in rows) == 64 * 256 * 9 + 256 * 128 * 16 * 9 + 128 * 64 * 9 * 36 + 64 * 16 * 169
    rows = summarize(Discriminator(), (1, 28, 28))
    assert rows[0].formula == "floor((28 + 2*0 - 1*(4 - 1) - 1)/2) + 1 = 13"
    assert sum(r.multiply_adds for r in rows) == 16 * 16 * 169 + 16 * 32 * 16 * 25 + 32 * 16


def test_every_formula_gives_the_size():
    for network, shape in ((Generator(), (10,)), (Discriminator(), (1, 28, 28))):
        for row in summarize(network, shape):
            if row.formula:
                expression, _, result = row.formula.replace("floor", "int").replace("/", "//").partition(" = ")
                assert eval(expression) == int(result) == row.output[-1]


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("has_labels", [True, False])
@pytest.mark.parametrize("is_spectral", [True, False])
def test_a_summary_of_every_preset_adds_up(preset: str, has_labels: bool, is_spectral: bool):
    norm = {"g_norm": "spectral", "d_norm": "spectral"} if is_spectral and preset not in ("r3gan", "match") else {}
    config = configure(preset, **norm)
    networks = build_networks(config, (1, 28, 28), 10 if has_labels else 0)
    for network, shape in zip(networks, ((config.z_dim,), (1, 28, 28)), strict=True):
        rows = summarize(network, shape, has_labels=has_labels)
        assert sum(row.parameters for row in rows) == parameter_count(network)
        assert sum(row.multiply_adds for row in rows) > 0
        for row in rows:
            expression, _, result = row.formula.replace("floor", "int").replace("/", "//").partition(" = ")
            assert not row.formula or eval(expression) == int(result) == row.output[-1]


def test_upsampling_convolutions_are_counted():
    rows = summarize(upsample.Generator(128, (3, 64, 64), 24, 0), (128,))
    layers = [row for row in rows if row.kind == "UpsampleConv"]
    # by hand: 16 * in * out * input pixels, since each is computed as a transposed convolution of kernel 4
    widths, sides = (256, 192, 96, 48, 24), (4, 8, 16, 32)
    assert [row.output[0] for row in layers] == list(widths[1:])
    by_hand = [16 * a * b * side**2 for (a, b), side in zip(pairwise(widths), sides, strict=True)]
    assert [row.multiply_adds for row in layers] == by_hand
    assert [row.formula for row in layers] == [f"{side} * 2 = {2 * side}" for side in sides]


def test_the_value_range_of_the_pictures_is_heeded(cli, tmp_path: Path):
    np.save(tmp_path / "a.npy", np.arange(20 * 28 * 28, dtype=np.uint16).reshape(20, 28, 28) % 4096)
    process = cli("summary", "--data", str(tmp_path / "a.npy"), "--value-range", "0", "4095")
    assert process.returncode == 0, process.stderr
    assert process.stdout.startswith("Generator")


def test_a_preset_without_a_discriminator_has_one_table(cli):
    process = cli("summary", "--preset", "match", "--data", "mnist")
    assert process.returncode == 0, process.stderr
    assert process.stdout.startswith("Generator")
    assert "Discriminator" not in process.stdout
