"""`dcgan summary`: the networks of a run's settings, layer by layer."""

from typing import Any

from dcgan.config import Config
from dcgan.data.open import open_images
from dcgan.models.build import build_networks, check_networks
from dcgan.models.groups import choose_group_count
from dcgan.models.summary import format_summary, summarize, summary_to_json

MANY_PICTURES = 10**6
"""The summary shows as many groups as a data set of this size has: only its test part is opened here."""


def describe_networks(config: Config, *, has_discriminator: bool) -> tuple[dict[str, Any], str]:
    """Return every layer of the networks that are trained, as JSON types and as tables.

    Args:
        config: the settings.
        has_discriminator: whether their objective trains a discriminator.

    Raises:
        UserError: the networks or the data cannot be opened with these settings.
    """
    check_networks(config)
    # The test part is smaller than the training part and has the same shape.
    data = open_images(
        config.data, "test", size=config.size, channels=config.channels, fit=config.fit, value_range=config.value_range
    )
    channels, height, width = data.pixels.shape[1:]
    shape = (channels, height, width)
    classes = len(data.classes) if config.conditional else 0
    groups = choose_group_count(MANY_PICTURES, config.groups, config.z_dim, classes)
    networks = build_networks(config, shape, classes, groups)
    content, tables = {}, []
    names = ("generator", "discriminator") if has_discriminator else ("generator",)
    for name, network, input_shape in zip(names, networks, ((config.z_dim,), shape), strict=False):
        rows = summarize(network, input_shape, has_labels=bool(classes or groups))
        content[name] = summary_to_json(input_shape, rows)
        tables.append(format_summary(name.capitalize(), input_shape, rows))
    return content, "\n\n".join(tables)
