"""Commands that use a trained model elsewhere, or find the latent of a picture: `export`, `invert`."""

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import FlagCreatePairsOff, Positional, arg

from dcgan.cli.result import Result
from dcgan.errors import UserError
from dcgan.files import printable
from dcgan.system.console import print_message

Format = Literal["onnx", "safetensors", "web", "space"]


@dataclass(frozen=True)
class Export:
    """Export a trained generator: ONNX, the layout of the Hub, a web bundle that draws in the browser, or a Space."""

    model: Annotated[Positional[str], arg(metavar="MODEL")]
    """A run folder, the folder of a saved model, a shipped name (mnist, mnist-dcgan, mnist-cgan), or a Hub id such as
    user/name."""
    out: Path
    """FILE.onnx; a folder for `safetensors`, `web` and `space`; FILE.html with --single-file."""
    format: Format = "onnx"
    """`onnx` is compared with PyTorch before the file is kept; `safetensors` is the Hub's layout; `web` is a page that
    runs the generator in the visitor's browser; `space` is a folder with a Gradio page for the Hub's Spaces."""
    for_torch_fidelity: FlagCreatePairsOff[bool] = False
    """ONNX whose output is uint8 with three channels, as torch-fidelity's command needs it."""
    half: FlagCreatePairsOff[bool] = False
    """ONNX in half precision (float16), also in the web bundle: half the size, within 8 of 255 levels of the float32
    file."""
    single_file: FlagCreatePairsOff[bool] = False
    """The web bundle as one .html file, which can be opened from the disk too."""
    push: str | None = None
    """Upload the `safetensors` to the Hub as USER/NAME."""
    license: str | None = None
    """The license of the model for its card, such as mit or cc-by-4.0; without it the card says that it is unknown."""
    json: FlagCreatePairsOff[bool] = False
    """Print one JSON object instead of text."""

    def __call__(self) -> Result:
        self._check()
        formats = {"onnx": self._onnx, "safetensors": self._safetensors, "web": self._web, "space": self._space}
        return formats[self.format]()

    def _check(self) -> None:
        """Refuse flags of another format, and a path that cannot be written, before anything is loaded."""
        from dcgan.sampling.output import check_output_path

        flags = {
            "--for-torch-fidelity": (("onnx",), self.for_torch_fidelity),
            "--half": (("onnx", "web"), self.half),
            "--single-file": (("web",), self.single_file),
            "--push": (("safetensors",), self.push is not None),
            "--license": (("safetensors",), self.license is not None),
        }
        for flag, (formats, given) in flags.items():
            if given and self.format not in formats:
                raise UserError(f"{flag} can be used with --format {' or '.join(formats)}, not with {self.format}")
        if self.half and self.for_torch_fidelity:
            raise UserError("--half cannot be used with --for-torch-fidelity: measure the model in full precision")
        suffix = ".onnx" if self.format == "onnx" else ".html" if self.single_file else ""
        if suffix and self.out.suffix.lower() != suffix:
            raise UserError(f"cannot write {self.out}: give a {suffix}")
        if self.push is None or not self.out.is_dir():  # an earlier upload may have failed: see _safetensors
            check_output_path(self.out, (suffix,))

    def _onnx(self) -> Result:
        from dcgan.exporting.half import LEVELS
        from dcgan.exporting.onnx import OPSET_VERSION, export_onnx
        from dcgan.sampling.model import load

        model = load(self.model)
        difference = export_onnx(model, self.out, for_torch_fidelity=self.for_torch_fidelity, half=self.half)
        network, size = model.generator, self.out.stat().st_size
        shape = "x".join(map(str, network.picture_shape))
        distance = (
            f"{difference * LEVELS:.1f} of 255 levels of float32" if self.half else f"{difference:.1e} of PyTorch"
        )
        text = f"{self.out}: {size:,} bytes, opset {OPSET_VERSION}, z {network.z_dim}, pictures {shape}, "
        text += f"{'half precision, ' if self.half else ''}within {distance}"
        if self.for_torch_fidelity:
            text += (
                f"\n  fidelity --input1 {shlex.quote(str(self.out))} --input1-model-z-type normal "
                f"--input1-model-z-size {network.z_dim} --input1-model-num-classes {network.classes} "
                "--input1-model-num-samples 10000 --input2 FOLDER --fid"
            )
        return {"out": str(self.out), "bytes": size, "opset": OPSET_VERSION, "difference": difference}, text

    def _safetensors(self) -> Result:
        from dcgan.exporting.card import check_license
        from dcgan.exporting.hub import check_replaceable, push_to_hub, write_hub_folder
        from dcgan.sampling.model import load

        license_name = None if self.license is None else check_license(self.license)
        model = load(self.model)
        if self.push is not None:
            check_replaceable(self.out, model)
        write_hub_folder(model, self.out, self.push, license_name)
        content = {"out": str(self.out)}
        if self.push is None:
            return content, f"{self.out}: config.json, model.safetensors, README.md, samples.png"
        address, is_new = push_to_hub(self.out, self.push)
        place = "a new repository" if is_new else "a new commit in the repository that was there"
        return {**content, "pushed": address, "is_new": is_new}, f"{self.out}, and {address}: {place}"

    def _web(self) -> Result:
        from dcgan.exporting.web import write_web_bundle
        from dcgan.sampling.model import load

        size = write_web_bundle(load(self.model), self.out, single_file=self.single_file, half=self.half)
        page = self.out if self.single_file else self.out / "index.html"
        usage = (
            "open it in a browser"
            if self.single_file
            else f"serve it: python -m http.server -d {shlex.quote(str(self.out))}"
        )
        return {"out": str(self.out), "bytes": size}, f"{page}: {size:,} bytes; {usage}"

    def _space(self) -> Result:
        from dcgan.exporting.space import write_space_folder
        from dcgan.sampling.model import load

        size = write_space_folder(load(self.model), self.out)
        requirements, app = (shlex.quote(str(self.out / name)) for name in ("requirements.txt", "app.py"))
        usage = f"pip install -r {requirements}; python {app}"
        return {"out": str(self.out), "bytes": size}, f"{self.out}: {size:,} bytes; start it: {usage}"


@dataclass(frozen=True)
class Invert:
    """Find the latent whose sample is nearest to your picture: the latent, its sample, and the error."""

    model: Annotated[Positional[str], arg(metavar="MODEL")]
    """A run folder, the folder of a saved model, a shipped name (mnist, mnist-dcgan, mnist-cgan), or a Hub id such as
    user/name."""
    picture: Annotated[Positional[Path], arg(metavar="PICTURE")]
    """The file of the picture. It is cropped and resized to the size that the model draws."""
    out: Path
    """The folder to write: latent.npz (z, and label if there are classes) and reconstruction.png."""
    label: str | None = None
    """Search only this class, by index or by name; without it, every class."""
    value_range: tuple[float, float] | None = None
    """Of a picture of more than 8 bits, the values that become black and white. By default those of the training."""
    json: FlagCreatePairsOff[bool] = False
    """Print one JSON object instead of text."""

    def __call__(self) -> Result:
        from dcgan.sampling.invert import draw_sample_pool, invert_image, read_image, write_inversion
        from dcgan.sampling.model import load
        from dcgan.sampling.output import check_output_path

        check_output_path(self.out, ("",))
        model = load(self.model)
        model.generator.requires_grad_(False)
        image, notice = read_image(model, self.picture, self.value_range)
        if notice:
            print_message(f"{printable(str(self.picture))}: {notice}")
        inversion = invert_image(model, image, draw_sample_pool(model, self.label))
        write_inversion(inversion, self.out)
        class_content = (
            {} if inversion.label is None else {"label": inversion.label, "class": model.classes[inversion.label]}
        )
        text = f"{self.out}: latent.npz and reconstruction.png, {inversion.error:.1f} of 255 from the picture (RMS)"
        text += f", class {model.classes[inversion.label]}" if inversion.label is not None else ""
        return {"out": str(self.out), "error": inversion.error, **class_content}, text
