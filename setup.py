"""Builds the package with the learning pages of the documentation, which the studio shows.

Everything else about the package stands in pyproject.toml. The pages stay in `docs`, where readers look for them.
A build copies them.
"""

import re
import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

DOCUMENTATION = Path("docs")
PICTURE = re.compile(r"\]\((?:\.\./)+(images/[^)]+)\)")


class BuildWithLessons(build_py):
    """Also copies `docs/learn` and the pictures of its pages to `dcgan/studio/lessons`."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:  # the studio then reads the documentation itself
            return
        target = Path(self.build_lib) / "dcgan" / "studio" / "lessons"
        pages = sorted(DOCUMENTATION.glob("learn/*/*.md"))
        pictures = {
            DOCUMENTATION / name for page in pages for name in PICTURE.findall(page.read_text(encoding="utf-8"))
        }
        for source in (*pages, *sorted(pictures)):
            copy = target / source.relative_to(DOCUMENTATION)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, copy)


setup(cmdclass={"build_py": BuildWithLessons})
