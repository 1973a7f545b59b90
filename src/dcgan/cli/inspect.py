"""Commands that look before anything is trained: `summary`, `data check`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import FlagCreatePairsOff, Positional, arg

from dcgan.cli.result import Result
from dcgan.config import Config


@dataclass(frozen=True)
class Summary:
    """Show every layer's shape with the size formula filled in, its parameters and its multiply-adds."""

    config: Annotated[Config, arg(name="")]
    json: FlagCreatePairsOff[bool] = False
    """Print one JSON object instead of text."""

    def __call__(self) -> Result:
        from dcgan.data.open import open_images
        from dcgan.models.build import build_networks, check_networks
        from dcgan.models.groups import choose_group_count
        from dcgan.models.summary import format_summary, summarize, summary_to_json

        config = self.config
        check_networks(config)
        # the test part is the smaller one, and of the same shape
        data = open_images(config.data, "test", size=config.size, channels=config.channels, fit=config.fit)
        channels, height, width = data.pixels.shape[1:]
        shape = (channels, height, width)
        # as many groups as enough pictures have: these here are not all
        classes = len(data.classes) if config.conditional else 0
        groups = choose_group_count(10**6, config.groups, config.z_dim, classes)
        networks = build_networks(config, shape, classes, groups)
        found, text = {}, []
        for name, network, source in zip(
            ("generator", "discriminator"), networks, ((config.z_dim,), shape), strict=True
        ):
            rows = summarize(network, source, has_labels=bool(classes or groups))
            found[name] = summary_to_json(source, rows)
            text.append(format_summary(name.capitalize(), source, rows))
        return found, "\n\n".join(text)


@dataclass(frozen=True)
class DataCheck:
    """Look at a set of pictures: what is in it, what is broken, what to train. Said as `dcgan data check SPEC`."""

    spec: Annotated[Positional[str], arg(metavar="SPEC")]
    """What `--data` takes: a folder, a .zip, an .npz, a name."""
    out: Path | None = None
    """The contact sheet, a .png; by default NAME-contact.png in this folder."""
    json: FlagCreatePairsOff[bool] = False
    """Print one JSON object instead of text."""

    def __call__(self) -> Result:
        from dcgan.training.advise import advice_text, check_data

        found = check_data(self.spec, self.out)
        return found, advice_text(found)
