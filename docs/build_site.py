"""Build the site in two languages into site/: `python -m docs.build_site`, which `make docs` calls.

Each language is built from a copy of docs/. In the Korean copy, the pages of docs/ko replace the English ones of the
same path; what has no Korean page stays, with a line that says so. The reference of the commands is made of the flags.
"""

import contextlib
import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

from markdown.extensions.toc import slugify

from dcgan.cli.commands import COMMANDS
from dcgan.cli.main import parse

ROOT = Path(__file__).parents[1]
CONFIGS = {"en": "zensical.toml", "ko": "zensical.ko.toml"}
STUDIO_FILES = ROOT / "src" / "dcgan" / "studio" / "static"
FIGURE_SCRIPTS = ("plot.js", "transposed-convolution.js", "gan.js")
"""The figures to play with: the studio shows them too, so they are in the package."""
FLAGS_MARK = "<!-- flags -->"
"""Where the page of the commands gets their flags."""
ENGLISH_ONLY = """!!! note "이 페이지는 영어로만 있습니다"

    한국어 페이지: [시작]({start}index.md) · [배우기]({start}learn/ko/index.md)
"""
KOREAN_TEXT = {"study/document.md"}
"""Pages in Korean that both sites show."""
ENGLISH_LESSON = re.compile(r"learn/en/([\w-]+\.md)(?:#[\w-]+)?")
"""A link to a learning page; its anchor is made from the English heading, so it is left out."""
CODE_BLOCK = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^##+ (.*)$", re.MULTILINE)
LINK = re.compile(r"(\]\()([^)\s]+)(\))")


def build_sites(root: Path = ROOT, temporary_folder: Path | None = None) -> Path:
    """Build both sites in a temporary folder, and return the folder with the English site and ko/ below it.

    Raises:
        SystemExit: a page has a link without a target, or a site cannot be built.
    """
    work = Path(temporary_folder or tempfile.mkdtemp())
    for language, config in CONFIGS.items():
        folder = work / language
        copy_pages(root / "docs", folder / "docs", language)
        (folder / "src").symlink_to(root / "src")
        shutil.copy(root / config, folder)
        command = [sys.executable, "-m", "zensical", "build", "--strict", "--config-file", config]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"{config}: {done.stdout}{done.stderr}")
    shutil.copytree(work / "ko" / "site" / "ko", work / "en" / "site" / "ko")
    return work / "en" / "site"


def copy_pages(docs: Path, target: Path, language: str) -> None:
    """Copy the pages of one language, ready to be built."""
    shutil.copytree(
        docs, target, ignore=shutil.ignore_patterns("*.py", "__pycache__", "ko" if language == "en" else "en")
    )
    for script in FIGURE_SCRIPTS:
        shutil.copy(STUDIO_FILES / script, target / "interactive" / script)
    if language == "ko":
        translated = overlay_korean(docs / "ko", target)
        for path in sorted(target.rglob("*.md")):
            name, text = path.relative_to(target).as_posix(), path.read_text(encoding="utf-8")
            if name in translated or name.startswith("learn/"):
                continue
            text = ENGLISH_LESSON.sub(r"learn/ko/\1", text)
            path.write_text(text if name in KOREAN_TEXT else mark_as_english(text, name), encoding="utf-8")
    page = target / "reference" / "cli.md"
    page.write_text(page.read_text(encoding="utf-8").replace(FLAGS_MARK, reference()), encoding="utf-8")


def overlay_korean(korean: Path, target: Path) -> set[str]:
    """Put the Korean pages in the place of the English ones, with links and anchors adapted; return their names."""
    shutil.rmtree(target / "ko", ignore_errors=True)
    names = {path.relative_to(korean).as_posix() for path in korean.rglob("*.md")}
    for name in names:
        english = (target / name).read_text(encoding="utf-8") if (target / name).exists() else ""
        text = add_anchors((korean / name).read_text(encoding="utf-8"), english)
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        (target / name).write_text(LINK.sub(partial(_move_link, name), text), encoding="utf-8")
    return names


def add_anchors(korean: str, english: str) -> str:
    """Return a Korean page whose headings have the anchors of the English ones, so that links to them are the same."""
    anchors = iter([slugify(title, "-") for title in HEADING.findall(CODE_BLOCK.sub("", english))])
    blocks = CODE_BLOCK.findall(korean)
    parts = CODE_BLOCK.split(korean)
    for i, part in enumerate(parts):
        parts[i] = HEADING.sub(lambda match: f"{match[0]} {{ #{next(anchors, slugify(match[1], '-'))} }}", part)
    return "".join(part + block for part, block in zip(parts, [*blocks, ""], strict=True))


def _move_link(name: str, match: re.Match[str]) -> str:
    """Return a link of `ko/NAME` as it is from `NAME`."""
    path, mark, anchor = match[2].partition("#")
    if not path or "://" in path:
        return match[0]
    folder = os.path.dirname(name)
    absolute = os.path.normpath(os.path.join("ko", folder, path)).removeprefix("ko/")
    return match[1] + os.path.relpath(absolute, folder or ".") + mark + anchor + match[3]


def mark_as_english(text: str, name: str) -> str:
    """Return an English page of the Korean site with a line below its title that says so."""
    title, _, rest = text.partition("\n")
    start = "../" * name.count("/")
    return f"{title}\n\n{ENGLISH_ONLY.format(start=start)}\n{rest}"


def reference() -> str:
    """Return a section for each command: what it does, and its flags as `--help` shows them."""
    return "\n".join(command_section(name) for name in COMMANDS)


def command_section(name: str) -> str:
    """Return the section of a command in Markdown."""
    words = ["data", "check"] if name == "data" else [name]
    output = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")  # in other encodings the help has other boxes
    with contextlib.redirect_stdout(output):
        parse([*words, "--help"])
    output.seek(0)
    head, *boxes = output.read().split("╭─")
    usage, _, description = head.strip().partition("\n\n")
    lines = [
        f"## dcgan {' '.join(words)}",
        "",
        "```",
        usage.removeprefix("usage: "),
        "```",
        "",
        _as_markdown(description),
        "",
    ]
    for names, text in (entry for box in boxes for entry in _entries(box)):
        if names != "-h, --help":
            lines.append(f"`{names}`\n:   {text}\n")
    return "\n".join(lines)


def _as_markdown(description: str) -> str:
    """Return a description whose indented lines are items of a list."""
    lines = [re.sub(r"^  (\S[^:]*):", r"- `\1`:", line) for line in description.splitlines()]
    text = "\n".join(lines)
    return re.sub(r"^([^-\n].*:)\n(- )", r"\1\n\n\2", text, flags=re.MULTILINE)


def _entries(box: str) -> list[tuple[str, str]]:
    """Return the flags in a box of the help with their texts, each on one line."""
    entries: list[tuple[str, list[str]]] = []
    for line in re.findall(r"^│ (.*?) *│$", box, re.MULTILINE):
        if line[:1].strip():
            names, _, text = line.partition("  ")
            entries.append((names, [text.strip()]))
        elif entries:
            entries[-1][1].append(line.strip())
    return [(names, " ".join(filter(None, texts)).replace("<", "&lt;")) for names, texts in entries]


if __name__ == "__main__":
    shutil.rmtree(ROOT / "site", ignore_errors=True)
    shutil.copytree(build_sites(), ROOT / "site")
    print(f"open {ROOT / 'site' / 'index.html'}")
