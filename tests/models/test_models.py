import copy
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from benchmarks import study
from dcgan import Discriminator, Generator, UserError
from dcgan.models import build
from dcgan.models.blocks import (
    ConditionalNorm,
    ConvTranspose2d,
    LabelConv2d,
    center_crop,
    center_pad,
    conv_size,
    conv_transpose_size,
    doublings,
    init_weights,
    layer_sizes,
)
from dcgan.models.dcgan64 import PaperDiscriminator, PaperGenerator
from dcgan.models.resnet import Block
from dcgan.models.store import load_generator, save_generator
from dcgan.models.summary import summarize
from dcgan.presets import PRESETS, configure


def parameters(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def test_the_studys_parameter_counts():
    assert parameters(Generator()) == 623_425
    assert parameters(Generator(z_dim=64)) == 747_841
    assert parameters(Discriminator()) == 9_105


@pytest.mark.parametrize(
    ("ours", "theirs", "shape"),
    [
        (Generator, study.Generator, (5, 10)),
        (lambda: Generator(64, 3, 8), lambda: study.Generator(64, 3, 8), (5, 64)),
        (Discriminator, study.Discriminator, (5, 1, 28, 28)),
        (lambda: Discriminator(3, 4), lambda: study.Discriminator(3, 4), (5, 3, 28, 28)),
    ],
)
@pytest.mark.parametrize("training", [True, False])
def test_the_studys_weights_load_and_give_the_same(ours, theirs, shape, training: bool):
    mine, original = ours().train(training), theirs().train(training)
    mine.load_state_dict(original.state_dict(), strict=True)
    x = torch.randn(shape)
    # Five pictures, weights that drive tanh to its ends: here float32 itself is 4e-6 from float64, our way 2e-5.
    assert torch.allclose(mine(x), original(x), atol=5e-5)


def test_the_gradients_are_the_studys_at_its_own_size():
    """Batch 128, z 64: both updates through layers that are computed in another way than the study's.

    A unit that lies on the bend of a ReLU but for rounding may fall on the other side, and a few gradients with it: the
    study's own, in float32, are up to 3e-5 from float64's.
    """
    torch.manual_seed(0)
    pairs = (Generator(64), Discriminator()), (study.Generator(64), study.Discriminator())
    for mine, original in zip(*pairs, strict=True):
        mine.load_state_dict(original.apply(study.weights_init).state_dict())
    z, real = torch.randn(128, 64), torch.rand(128, 1, 28, 28) * 2 - 1
    found, expected = (_both_gradients(*pair, z, real) for pair in pairs)
    assert max(float(gradient.abs().max()) for gradient in expected) > 1e-3
    apart = torch.cat([(one - two).abs().flatten() for one, two in zip(found, expected, strict=True)])
    assert (apart < 1e-5).float().mean() > 0.999
    assert apart.max() < 1e-4


def _both_gradients(gen: nn.Module, disc: nn.Module, z: torch.Tensor, real: torch.Tensor) -> list[torch.Tensor]:
    fake, criterion = gen(z), nn.BCEWithLogitsLoss()
    loss_g = criterion(disc(fake), torch.ones(len(z), 1))
    scores = disc(fake.detach()), disc(real)
    loss_d = (criterion(scores[0], torch.zeros(len(z), 1)) + criterion(scores[1], torch.ones(len(z), 1))) / 2
    return [*torch.autograd.grad(loss_g, list(gen.parameters())), *torch.autograd.grad(loss_d, list(disc.parameters()))]


def test_the_studys_blocks_layer_by_layer():
    for mine, original in ((Generator(), study.Generator()), (Discriminator(), study.Discriminator())):
        assert str(mine).split("\n")[1:] == str(original).split("\n")[1:]
    assert len(Generator().gen) == 4
    assert len(Discriminator().disc) == 3
    assert str(Generator().gen_block(3, 5)) == str(study.Generator().gen_block(3, 5))
    assert str(Discriminator().disc_block(3, 5)) == str(study.Discriminator().disc_block(3, 5))


def test_shapes_and_range():
    images = Generator(7, 3)(torch.randn(2, 7))
    assert images.shape == (2, 3, 28, 28)
    assert images.abs().max() <= 1
    assert Discriminator(3)(images).shape == (2, 1)
    assert Generator(7)(torch.randn(1, 7)).shape == (1, 1, 28, 28)


@pytest.mark.parametrize("size", [8, 21, 30, 37, 64])
def test_a_size_that_the_discriminator_cannot_take_is_named(size: int):
    with pytest.raises(UserError, match=r"28|cannot take"):
        Discriminator()(torch.zeros(2, 1, size, size))


@pytest.mark.parametrize("kernel", [1, 3, 4, 5])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("padding", [0, 1])
@pytest.mark.parametrize("dilation", [1, 2])
def test_the_size_formulae_are_what_torch_does(kernel: int, stride: int, padding: int, dilation: int):
    for size in (1, 2, 7, 28):
        x = torch.zeros(1, 1, size, size)
        try:
            expected = conv_size(size, kernel, stride, padding, dilation)
            assert nn.Conv2d(1, 1, kernel, stride, padding, dilation)(x).shape[-1] == expected
        except UserError:
            with pytest.raises(RuntimeError):
                nn.Conv2d(1, 1, kernel, stride, padding, dilation)(x)
        for extra in range(max(stride, dilation)):
            layer = nn.ConvTranspose2d(1, 1, kernel, stride, padding, extra, dilation=dilation)
            try:
                expected = conv_transpose_size(size, kernel, stride, padding, extra, dilation)
                assert layer(x).shape[-1] == expected
            except UserError:
                with pytest.raises(RuntimeError):
                    layer(x)


def test_the_sizes_of_the_study():
    assert layer_sizes(Generator(), 1) == [1, 3, 6, 13, 28]
    assert layer_sizes(Discriminator(), 28) == [28, 13, 5, 1]


def test_a_transposed_convolution_is_the_transposed_matrix_of_the_convolution():
    conv = nn.Conv2d(1, 1, 3, stride=2, bias=False).double()
    turned = nn.ConvTranspose2d(1, 1, 3, stride=2, bias=False).double()
    turned.weight.data.copy_(conv.weight)
    pixels = torch.eye(49).double().view(49, 1, 7, 7)
    matrix = conv(pixels).view(49, 9).T  # (9, 49): the convolution of 7x7 as a matrix
    y = torch.randn(1, 1, 3, 3).double()
    assert torch.allclose(turned(y).view(49), matrix.T @ y.view(9))


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(
    ("side", "channels", "given"),
    [
        (1, 5, {"kernel_size": 3, "stride": 2}),
        (1, 5, {"kernel_size": (4, 2)}),
        (1, 1, {"kernel_size": 4, "padding": 1, "stride": 2}),
        (1, 5, {"kernel_size": 3, "dilation": 2}),
        (7, 1, {"kernel_size": 4, "stride": 2}),
        (7, 1, {"kernel_size": 4, "stride": 2, "padding": 1}),
        (6, 1, {"kernel_size": (3, 5), "stride": 3, "padding": (1, 0), "output_padding": 2, "dilation": (1, 2)}),
        (5, 2, {"kernel_size": 4, "stride": 2}),
        (3, 5, {"kernel_size": 4}),
        (2, 5, {"kernel_size": 3}),
        (3, 1, {"kernel_size": 4}),
        (3, 5, {"kernel_size": (4, 2)}),
        (3, 5, {"kernel_size": 4, "padding": 1}),
        (4, 5, {"kernel_size": 4}),
    ],
)
def test_a_transposed_convolution_by_its_equals(side, channels, given, bias: bool) -> None:
    torch.manual_seed(0)
    fast = ConvTranspose2d(3, channels, bias=bias, **given).double()
    plain = nn.ConvTranspose2d(3, channels, bias=bias, **given).double()
    plain.load_state_dict(fast.state_dict())
    x = torch.randn(4, 3, side, side, dtype=torch.double, requires_grad=True)
    for one, two in zip(_derivatives(fast, x), _derivatives(plain, x), strict=True):
        assert torch.allclose(one, two)


def test_the_studys_second_layer_rounds_as_finely_as_it_needs_to():
    """The other way of counting must not cost what float32 has to spare: gradients are held to 1e-5."""
    torch.manual_seed(0)
    fast = ConvTranspose2d(256, 128, 4)
    exact = nn.ConvTranspose2d(256, 128, 4).double()
    exact.load_state_dict(fast.state_dict())
    x, weights = torch.randn(128, 256, 3, 3).requires_grad_(), torch.randn(128, 128, 6, 6)
    found, expected = (_first_derivatives(layer, x, weights) for layer in (fast, exact))
    for one, two in zip(found, expected, strict=True):
        assert ((one.double() - two).abs().max() / two.abs().max()).item() < 1e-5


def _first_derivatives(layer: nn.Module, x: torch.Tensor, weights: torch.Tensor) -> list[torch.Tensor]:
    """The output of a layer in its own precision, and the gradients of its weighted sum."""
    kind = next(layer.parameters()).dtype
    inputs = [x.to(kind), *layer.parameters()]
    out = layer(inputs[0])
    return [out.detach(), *torch.autograd.grad((out * weights.to(kind)).sum(), inputs)]


def test_bf16_is_left_to_torch():
    """At points away from 1 it has too few digits."""
    fast, plain = ConvTranspose2d(8, 4, 4), nn.ConvTranspose2d(8, 4, 4)
    plain.load_state_dict(fast.state_dict())
    x = torch.randn(2, 8, 3, 3)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(fast(x), plain(x))


def _derivatives(layer: nn.Module, x: torch.Tensor) -> list[torch.Tensor]:
    """The output, its gradients, and those of a penalty on them."""
    out = layer(x).tanh()
    inputs = [x, *layer.parameters()]
    first = torch.autograd.grad(out.square().sum(), inputs, create_graph=True)
    second = torch.autograd.grad(sum(g.square().sum() for g in first), inputs)
    return [out, *first, *second]


def test_initial_weights():
    generator = Generator(64).apply(init_weights)
    scales = torch.cat([m.weight for m in generator.modules() if isinstance(m, nn.BatchNorm2d)])
    kernels = torch.cat([m.weight.flatten() for m in generator.modules() if isinstance(m, nn.ConvTranspose2d)])
    for weights in (scales, kernels):
        assert weights.mean().abs() < 0.005
        assert weights.std().item() == pytest.approx(0.02, rel=0.1)
    assert all((m.bias == 0).all() for m in generator.modules() if isinstance(m, nn.BatchNorm2d))


def test_weights_follow_from_the_seed_and_leave_torchs_own_state_alone():
    before = torch.get_rng_state()
    (a, d), (b, _), (c, _) = (build.build_networks(configure("dcgan", seed=s), (1, 28, 28)) for s in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(a.gen[0][0].weight, b.gen[0][0].weight)
    assert not torch.equal(a.gen[0][0].weight, c.gen[0][0].weight)
    assert parameters(d) == 9_105


def test_a_size_that_the_network_cannot_draw_is_refused():
    with pytest.raises(UserError, match="28x28 only"):
        build.build_networks(configure("dcgan"), (1, 32, 32))


def test_summary_rows_are_what_a_forward_does():
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


def test_every_formula_comes_out_right():
    for network, shape in ((Generator(), (10,)), (Discriminator(), (1, 28, 28))):
        for row in summarize(network, shape):
            if row.formula:
                expression, _, result = row.formula.replace("floor", "int").replace("/", "//").partition(" = ")
                assert eval(expression) == int(result) == row.output[-1]


def saved(folder: Path) -> Generator:
    generator = Generator(6, 1, 4).eval()
    generator.trained = {"preset": "dcgan", "data": "mnist", "step": 1, "images_seen": 2, "command": "dcgan train"}
    save_generator(generator, folder)
    return generator


def test_a_saved_generator_comes_back(tmp_path: Path):
    generator = saved(tmp_path / "m")
    again = load_generator(tmp_path / "m")
    assert again.trained == generator.trained
    z = torch.randn(3, 6)
    assert torch.equal(again(z), generator(z))
    assert torch.equal(Generator.from_pretrained(tmp_path / "m")(z), generator(z))
    assert not again.training
    assert sorted(f.name for f in (tmp_path / "m").iterdir()) == ["README.md", "config.json", "model.safetensors"]


def test_the_hub_mixins_own_save_is_readable(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    generator = Generator(6, 1, 4)
    generator.save_pretrained(tmp_path / "m")
    assert load_generator(tmp_path / "m").trained is None
    assert "Saved with dcgan" in (tmp_path / "m" / "README.md").read_text()
    assert capsys.readouterr().out == ""


def test_the_card(tmp_path: Path):
    saved(tmp_path / "m")
    card = (tmp_path / "m" / "README.md").read_text()
    for text in ("pipeline_tag: unconditional-image-generation", "28x28, 1 channel\n", "`mnist`", "dcgan train"):
        assert text in card


def test_no_pickle_is_read(tmp_path: Path):
    folder = tmp_path / "m"
    saved(folder)
    (folder / "model.safetensors").unlink()
    torch.save(Generator(6, 1, 4).state_dict(), folder / "pytorch_model.bin")
    with pytest.raises(UserError, match=r"no .*model.safetensors"):
        load_generator(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"family": "stylegan"}, "family 'stylegan'"),
        ({"family": None}, "family None"),
        ({"family": []}, r"family \[\]"),
        ({"sha256": "0"}, "checksum"),
        ({"z_dim": 7}, "gen.0.0.weight is"),
        ({"z_dim": "many"}, "config.json is damaged"),
        ({"z_dim": -1}, "config.json is damaged"),
        ({"z_dim": 10**12}, "config.json is damaged"),
        ({"hidden_dim": 10**18}, "config.json is damaged"),
        ({"format_version": 2}, "newer dcgan"),
        ({"format_version": None}, "not written by dcgan"),
    ],
)
def test_a_foreign_or_damaged_config_is_refused_before_memory_is_taken(tmp_path: Path, change: dict, message: str):
    saved(tmp_path)
    path = tmp_path / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(UserError, match=message):
        load_generator(tmp_path)


@pytest.mark.parametrize("keep", [0, 7, 8, 100, -1])
def test_a_cut_model_file_is_refused(tmp_path: Path, keep: int):
    saved(tmp_path)
    path = tmp_path / "model.safetensors"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(UserError, match=r"model.safetensors is damaged"):
        load_generator(tmp_path)


def test_a_flipped_byte_in_the_weights_is_noticed(tmp_path: Path):
    saved(tmp_path)
    path = tmp_path / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match="checksum"):
        load_generator(tmp_path)


def test_weights_of_another_type_are_refused(tmp_path: Path):
    saved(tmp_path)
    path = tmp_path / "model.safetensors"
    save_file({k: v.bfloat16() if v.is_floating_point() else v for k, v in load_file(path).items()}, path)
    with pytest.raises(UserError, match="BF16"):
        load_generator(tmp_path)


def test_half_precision_is_read(tmp_path: Path):
    whole = saved(tmp_path)
    save_generator(copy.deepcopy(whole).half(), tmp_path)
    back = load_generator(tmp_path)
    z = torch.randn(9, 6)
    assert all(p.dtype == torch.float32 for p in back.parameters())
    assert (back(z) - whole.eval()(z)).abs().max() < 1 / 127.5


def test_a_hub_id_is_resolved_by_the_class_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    saved(tmp_path)
    for module in ("huggingface_hub.hub_mixin", "dcgan.models.saved"):
        monkeypatch.setattr(f"{module}.hf_hub_download", lambda *_, filename, **__: str(tmp_path / filename))
    assert Generator.from_pretrained("somebody/digits").z_dim == 6


def test_networks_that_do_not_fit_into_memory_are_refused():
    with pytest.raises(UserError, match="GB to train"):
        build.build_networks(configure("dcgan", g_width=65_536), (1, 28, 28))


def test_a_foreign_model_file_is_refused(tmp_path: Path):
    saved(tmp_path)
    save_file({"weight": torch.zeros(3)}, tmp_path / "model.safetensors")
    with pytest.raises(UserError, match="does not fit"):
        load_generator(tmp_path)


def test_weights_are_saved_as_they_are_whatever_their_layout(tmp_path: Path):
    generator = Generator(6, 1, 4).to(memory_format=torch.channels_last)
    save_generator(generator, tmp_path / "m")
    for name, tensor in load_file(tmp_path / "m" / "model.safetensors").items():
        assert torch.equal(tensor, generator.state_dict()[name])


def test_the_papers_parameter_counts():
    assert parameters(PaperGenerator(100, (3, 64, 64), 64)) == 3_576_704
    assert parameters(PaperDiscriminator((3, 64, 64), 64)) == 2_765_568
    generator, discriminator = build.build_networks(PRESETS["dcgan64"], (3, 64, 64))
    assert (parameters(generator), parameters(discriminator)) == (3_576_704, 2_765_568)


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((28, 28), (2, (7, 7))), ((64, 64), (4, (4, 4))), ((16, 16), (2, (4, 4))), ((32, 32), (3, (4, 4))),
        ((256, 256), (6, (4, 4))), ((100, 37), (4, (7, 3))), ((16, 256), (6, (1, 4))), ((29, 29), (3, (4, 4))),
    ],
)  # fmt: skip
def test_how_deep_a_network_is(size: tuple[int, int], expected: tuple):
    assert doublings(size) == expected


@pytest.mark.parametrize("side", range(16, 257))
def test_every_side_starts_at_four_to_seven_pixels(side: int):
    count, start = doublings((side, side))
    assert 4 <= start[0] <= 7
    assert start[0] * 2**count >= side


@pytest.mark.parametrize("size", [(28, 28), (30, 45), (17, 64), (16, 256), (100, 37)])
@pytest.mark.parametrize("network", ["mlp", "dcgan64", "resnet"])
@pytest.mark.parametrize("classes", [0, 4])
def test_any_height_and_width(network: str, size: tuple[int, int], classes: int):
    none = {"g_norm": "none", "d_norm": "none"}
    config = configure("dcgan", network=network, z_dim=5, g_width=2, d_width=2, **none)
    generator, discriminator = build.build_networks(config, (3, *size), classes)
    given = (torch.tensor([0, 3]),) if classes else ()
    images = generator(torch.randn(2, 5), *given)
    assert images.shape == (2, 3, *size)
    assert generator.picture_shape == (3, *size)
    assert images.abs().max() <= 1
    assert discriminator(images, *given).shape == (2, 1)


@pytest.mark.parametrize("network", ["mlp", "dcgan64", "resnet"])
@pytest.mark.parametrize("size", [(15, 28), (28, 257), (0, 16)])
def test_sizes_out_of_range_are_refused(network: str, size: tuple[int, int]):
    config = configure("dcgan", network=network, g_norm="none", d_norm="none")
    with pytest.raises(UserError, match="16 to 256 pixels"):
        build.build_networks(config, (1, *size))


def test_what_is_cropped_is_padded_and_nothing_else():
    x = torch.randn(2, 1, 7, 8)
    assert torch.equal(center_crop(center_pad(x, (12, 9)), (7, 8)), x)
    assert center_pad(x, (12, 9)).sum() == pytest.approx(x.sum().item(), abs=1e-4)
    assert center_pad(x, (7, 8)) is x


@pytest.mark.parametrize("training", [True, False])
def test_conditional_batchnorm_against_a_loop(training: bool):
    norm = ConditionalNorm("batch", 3, 4).train(training)
    torch.nn.init.normal_(norm.shift.weight)
    norm.norm.running_mean.normal_()
    x, labels = torch.randn(6, 3, 2, 5), torch.tensor([0, 3, 1, 1, 0, 2])
    mean = x.mean(dim=(0, 2, 3)) if training else norm.norm.running_mean.clone()
    variance = x.var(dim=(0, 2, 3), unbiased=False) if training else norm.norm.running_var.clone()
    out = norm(x, labels)
    for n in range(6):
        for c in range(3):
            scale, shift = norm.scale.weight[labels[n], c], norm.shift.weight[labels[n], c]
            by_hand = (x[n, c] - mean[c]) / torch.sqrt(variance[c] + 1e-5) * scale + shift
            assert torch.allclose(out[n, c], by_hand, atol=1e-5)


def test_maps_that_are_never_built_are_one_hot_maps():
    layer = LabelConv2d(2, 5, 4, 2, classes=3)
    x, labels = torch.randn(4, 2, 9, 8), torch.tensor([0, 2, 1, 2])
    maps = torch.nn.functional.one_hot(labels, 3).float()[..., None, None].expand(-1, -1, 9, 8)
    plain = torch.nn.functional.conv2d(torch.cat([x, maps], dim=1), layer.weight, layer.bias, stride=2)
    assert torch.allclose(layer(x, labels), plain, atol=1e-5)


def test_a_projection_is_the_inner_product_with_the_classs_vector():
    discriminator = PaperDiscriminator((1, 16, 16), 4, norm="none", classes=3)
    x, labels = torch.randn(5, 1, 16, 16), torch.tensor([0, 1, 2, 1, 0])
    features = discriminator.features(x)
    plain = discriminator.score(features).view(-1, 1)
    for n, label in enumerate(labels):
        inner = features[n].flatten() @ discriminator.classes.weight[label]
        assert torch.allclose(discriminator(x, labels)[n], plain[n] + inner, atol=1e-5)


@pytest.mark.parametrize("network", ["mlp", "dcgan", "dcgan64", "resnet"])
def test_the_class_changes_the_picture_and_the_score(network: str):
    none = {"g_norm": "none", "d_norm": "none"} if network == "resnet" else {}
    generator, discriminator = build.build_networks(configure("dcgan", network=network, **none), (1, 28, 28), 10)
    if network == "resnet":  # a block starts as the identity; its class has an effect all the same
        assert all(not block.branch[4].weight.any() for block in generator.modules() if isinstance(block, Block))
    z = torch.randn(3, 64)
    a, b = (generator.eval()(z, torch.full((3,), label)) for label in (1, 2))
    assert not torch.equal(a, b)
    scores = [discriminator.eval()(a, torch.full((3,), label)) for label in (1, 2)]
    assert not torch.equal(*scores)


def test_blocks_start_as_the_identity():
    generator, _ = build.build_networks(configure("r3gan"), (1, 28, 28))
    for block in generator.modules():
        if isinstance(block, Block):
            x = torch.randn(1, block.branch[0].in_channels, 3, 3)
            assert torch.equal(block(x), x)


def test_a_model_of_the_first_format_is_read_and_draws_the_same():
    import numpy as np

    from dcgan.sampling import model as model_module

    folder = Path(__file__).parents[1] / "fixtures" / "model-1"
    with np.load(folder / "samples.npz", allow_pickle=False) as arrays:
        kept = arrays["arr_0"].astype(int)
    model = model_module.load(folder)
    assert abs(model.sample(2, seed=0).astype(int) - kept).max() <= 1
    assert model.trained["step"] == 7
    assert model.classes == ()


@pytest.mark.parametrize("classes", [0, 3])
@pytest.mark.parametrize("norm", ["batch", "instance", "layer", "none", "spectral"])
@pytest.mark.parametrize("network", ["mlp", "dcgan", "dcgan64", "resnet"])
def test_every_generator_is_saved_and_comes_back(tmp_path: Path, network: str, norm: str, classes: int):
    norm = {"mlp": "layer" if norm == "instance" else norm, "resnet": "none"}.get(network, norm)
    config = configure("dcgan", network=network, z_dim=6, g_width=4, d_width=4, g_norm=norm, d_norm="none")
    generator, _ = build.build_networks(config, (3, 28, 28), classes)
    given = (torch.tensor([0, 2, 1]),) if classes else ()
    generator(torch.randn(3, 6), *given)
    save_generator(generator.eval(), tmp_path / "m")
    again, z = load_generator(tmp_path / "m"), torch.randn(3, 6)
    assert torch.equal(again(z, *given), generator(z, *given))
    assert (again.classes, again.picture_shape) == (classes, (3, 28, 28))


@pytest.mark.parametrize(
    "change",
    [
        {"picture_shape": [1, 28]}, {"picture_shape": [1, 28, 10**9]}, {"picture_shape": [1, -28, 28]},
        {"picture_shape": [1, 2.5, 28]}, {"picture_shape": "wide"}, {"classes": -3}, {"classes": "many"},
        {"width": 10**18}, {"picture_shape": [0, 28, 28]}, {"picture_shape": None}, {"width": -1},
    ],
)  # fmt: skip
@pytest.mark.parametrize("network", ["mlp", "dcgan64", "resnet"])
def test_a_damaged_description_is_refused(tmp_path: Path, network: str, change: dict):
    none = {"g_norm": "none", "d_norm": "none"}
    generator, _ = build.build_networks(configure("dcgan", network=network, g_width=2, **none), (1, 28, 28), 2)
    save_generator(generator, tmp_path)
    path = tmp_path / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(UserError, match=r"config.json"):
        load_generator(tmp_path)


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("labelled", [True, False])
@pytest.mark.parametrize("spectral", [True, False])
def test_a_summary_of_every_preset_adds_up(preset: str, labelled: bool, spectral: bool):
    norm = {"g_norm": "spectral", "d_norm": "spectral"} if spectral and preset != "r3gan" else {}
    config = configure(preset, **norm)
    networks = build.build_networks(config, (1, 28, 28), 10 if labelled else 0)
    for network, shape in zip(networks, ((config.z_dim,), (1, 28, 28)), strict=True):
        rows = summarize(network, shape, labelled=labelled)
        assert sum(row.parameters for row in rows) == parameters(network)
        assert sum(row.multiply_adds for row in rows) > 0
        for row in rows:
            expression, _, result = row.formula.replace("floor", "int").replace("/", "//").partition(" = ")
            assert not row.formula or eval(expression) == int(result) == row.output[-1]
