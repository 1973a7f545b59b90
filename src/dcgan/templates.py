"""HTML pages from the templates of the package: every value that is filled in is escaped."""

from functools import cache
from importlib import resources

from jinja2 import Environment, StrictUndefined, Template


def read_package_text(package: str, *path: str) -> str:
    """Return the text of a file of the package, such as `read_package_text("dcgan.reporting", "page.css")`."""
    return resources.files(package).joinpath(*path).read_text(encoding="utf-8")


@cache
def load_template(package: str, *path: str) -> Template:
    """Return a template of the package.

    Values are escaped unless the template marks them as `safe`, and a name that is not given a value is an error.
    """
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    environment.policies["json.dumps_kwargs"] = {}  # `tojson` would sort the keys
    return environment.from_string(read_package_text(package, *path))
