"""Check that the sources may be released: `python .ci/check_release.py [TAG]`, after `python -m build`.

It prints every reason against a release, and then ends with status 1.
"""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

PLACEHOLDER = "repository.invalid"
MAX_WHEEL_MB = 30
MAY_NAME_THE_PLACEHOLDER = {
    ".ci/check_links.py",
    ".ci/check_release.py",
    "CONTRIBUTING.md",
    "src/dcgan/system/install.py",  # its constant is checked by itself
    "tests/test_release.py",
}


def list_problems(root: Path, tag: str | None) -> list[str]:
    """Return every reason against a release of the sources in `root`, a clone with `dist/` in it."""
    version = read_version(root)
    return [
        *list_placeholders(root),
        *list_version_problems(root, version, tag),
        *list_archive_problems(root / "dist", version),
    ]


def read_version(root: Path) -> str:
    """Return the version that the package says it has."""
    text = (root / "src/dcgan/__init__.py").read_text(encoding="utf-8")
    return re.findall(r'^__version__ = "(.*)"$', text, re.MULTILINE)[0]


def list_placeholders(root: Path) -> list[str]:
    """Return the places that name the placeholder instead of the repository's address."""
    problems = []
    if (
        PLACEHOLDER
        in re.findall(
            r'^SOURCE = "(.*)"$', (root / "src/dcgan/system/install.py").read_text(encoding="utf-8"), re.MULTILINE
        )[0]
    ):
        problems.append("src/dcgan/system/install.py: SOURCE is a placeholder; write the address of the repository")
    grep = ["git", "grep", "--files-with-matches", "--fixed-strings", PLACEHOLDER]
    names = subprocess.run(grep, cwd=root, capture_output=True, text=True, check=False).stdout.split()
    return problems + [f"{name}: names {PLACEHOLDER}" for name in names if name not in MAY_NAME_THE_PLACEHOLDER]


def list_version_problems(root: Path, version: str, tag: str | None) -> list[str]:
    """Return what is wrong with the version, the tag and the changelog."""
    problems = []
    if not re.fullmatch(r"\d+\.\d+\.\d+", version):
        problems.append(f"the version {version} is not a final one")
    if tag is not None and tag != f"v{version}":
        problems.append(f"the tag {tag} is not v{version}")
    changelog = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    if not re.search(rf"^## {re.escape(version)}, \d{{4}}-\d{{2}}-\d{{2}}$", changelog, re.MULTILINE):
        problems.append(f"CHANGELOG.md has no section `## {version}, YYYY-MM-DD`")
    urls = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"].get("urls", {})
    if "Repository" not in urls:
        problems.append("pyproject.toml: [project.urls] has no Repository")
    return problems


def list_archive_problems(dist: Path, version: str) -> list[str]:
    """Return what is wrong with the wheel and the source archive."""
    wheel, source = dist / f"dcgan-{version}-py3-none-any.whl", dist / f"dcgan-{version}.tar.gz"
    problems = [f"{path.name} is not in dist/: python -m build" for path in (wheel, source) if not path.exists()]
    if wheel.exists() and wheel.stat().st_size >= MAX_WHEEL_MB * 1e6:
        problems.append(f"{wheel.name} has {wheel.stat().st_size / 1e6:.1f} MB, {MAX_WHEEL_MB} or more")
    return problems


if __name__ == "__main__":
    problems = list_problems(Path(__file__).parents[1], sys.argv[1] if len(sys.argv) > 1 else None)
    print("\n".join(problems) or "nothing is against a release")
    sys.exit(bool(problems))
