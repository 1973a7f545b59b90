"""The learning pages: their Python runs and prints what they show, both languages are alike, the site builds."""

import re
import tomllib
from collections.abc import Iterator
from functools import partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import nbformat
import pytest
from playwright.sync_api import Browser

from dcgan.cli.commands import COMMANDS
from docs.build_site import KOREAN_TEXT, add_anchors, build_sites
from docs.figures import FIGURES, draw_figure, style

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
LEARN = DOCS / "learn"
NAMES = sorted(path.name for path in (LEARN / "en").glob("*.md"))
PAGES = [LEARN / language / name for language in ("en", "ko") for name in NAMES]
SITES = {"en": ROOT / "zensical.toml", "ko": ROOT / "zensical.ko.toml"}


def read_text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def python_blocks(path: Path) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", read_text(path), re.MULTILINE | re.DOTALL)


def text_without_code(path: Path) -> str:
    return re.sub(r"^```.*?^```$", "", read_text(path), flags=re.MULTILINE | re.DOTALL)


def page_id(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"


@pytest.mark.parametrize("name", NAMES)
def test_every_block_runs_and_prints_the_text_in_its_comments(
    name: str,
    tmp_path: Path,
    shared_cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    monkeypatch.setenv("DCGAN_CACHE", str(shared_cache))
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    assert python_blocks(LEARN / "en" / name)
    for block in python_blocks(LEARN / "en" / name):
        exec(block, names)
        printed = iter(capsys.readouterr().out.splitlines())
        for expected in re.findall(r"^ *print\(.*\)  # (.*)$", block, re.MULTILINE):
            assert expected in printed, (block, expected)  # `in` moves the iterator on, so the order counts too


def heading_levels(path: Path) -> list[int]:
    return [len(marks) for marks in re.findall(r"^(#+) ", text_without_code(path), re.MULTILINE)]


def picture_links(path: Path) -> list[str]:
    return re.findall(r"!\[[^\]]*\]\(([^)]+)\)", read_text(path))


@pytest.mark.parametrize("name", NAMES)
def test_both_languages_have_the_same_code_headings_and_pictures(name: str):
    english, korean = (LEARN / language / name for language in ("en", "ko"))
    assert python_blocks(english) == python_blocks(korean)
    assert heading_levels(english) == heading_levels(korean)
    assert picture_links(english) == picture_links(korean)
    for pattern in (r"^    \S.*$", r"^\|", r"^- "):  # formulae, rows of tables, items
        assert len(re.findall(pattern, text_without_code(english), re.M)) == len(
            re.findall(pattern, text_without_code(korean), re.M)
        ), pattern


def test_no_page_is_in_one_language_only():
    assert [path.name for path in sorted((LEARN / "ko").glob("*.md"))] == NAMES


def test_korean_pages_are_korean():
    for path in LEARN.glob("ko/*.md"):
        assert len(re.findall(r"[가-힣]", text_without_code(path))) > 0.3 * len(
            re.sub(r"\s", "", text_without_code(path))
        ), path.name


@pytest.mark.parametrize("path", PAGES, ids=page_id)
def test_every_link_has_a_target_and_every_picture_a_description(path: Path):
    for words, link in re.findall(r"(!?\[[^\]]*)\]\(([^)#]+)\)", read_text(path)):
        assert link.startswith("https://") or (path.parent / link).exists(), link
        assert not words.startswith("![") or len(words) > 20, link


def test_every_figure_is_drawn_by_the_package_and_shown_on_a_page():
    files = {path.stem for path in style.IMAGES_FOLDER.iterdir()}
    shown = {Path(link).stem for path in PAGES for link in picture_links(path) if "images/learn/" in link}
    assert files == set(FIGURES) == shown
    assert sum(path.stat().st_size for path in style.IMAGES_FOLDER.iterdir()) < 1_500_000


@pytest.mark.parametrize("name", ["transposed-convolution", "generator-losses"])
def test_figures_are_the_same_to_the_byte(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    contents = []
    for attempt in ("a", "b"):
        monkeypatch.setattr(style, "IMAGES_FOLDER", tmp_path / attempt)
        draw_figure(name)
        contents.append((tmp_path / attempt / f"{name}.png").read_bytes())
    assert contents[0] == contents[1]


def page_paths(nav: list) -> list[str]:
    paths = []
    for entry in nav:
        for value in entry.values() if isinstance(entry, dict) else [entry]:
            paths += page_paths(value) if isinstance(value, list) else [value]
    return paths


def test_both_sites_link_to_every_page():
    pages = {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")}
    shared = {name for name in pages if not name.startswith(("learn/", "ko/"))}
    for language, path in SITES.items():
        paths = page_paths(tomllib.loads(read_text(path))["project"]["nav"])
        assert set(paths) == shared | {f"learn/{language}/{name}" for name in NAMES}
        assert len(paths) == len(set(paths))


KOREAN_PAGES = sorted(path.relative_to(DOCS / "ko").as_posix() for path in (DOCS / "ko").rglob("*.md"))


@pytest.mark.parametrize("name", KOREAN_PAGES)
def test_korean_pages_are_those_of_the_english_site(name: str):
    """The same code but for its comments, the same headings, tables, items and pictures."""
    english, korean = DOCS / name, DOCS / "ko" / name
    assert heading_levels(english) == heading_levels(korean)
    pictures = [Path(link).name for link in picture_links(english)]
    assert pictures == [Path(link).name for link in picture_links(korean)]
    for pattern in (r"^\|", r"^- ", r"<!-- "):
        counts = [len(re.findall(pattern, text_without_code(path), re.M)) for path in (english, korean)]
        assert counts[0] == counts[1], pattern
    code = [re.findall(r"^```.*?^```$", read_text(path), re.MULTILINE | re.DOTALL) for path in (english, korean)]
    stripped = [[re.sub(r"#.*| +", "", block) for block in blocks] for blocks in code]
    assert stripped[0] == stripped[1]


def test_korean_headings_have_the_anchors_of_the_english_page():
    english = "# Title\n\n## Without `--preset`\n\n```\n## no heading\n```\n\n### The end\n"
    korean = "# 제목\n\n## 프리셋 없이\n\n```\n## no heading\n```\n\n### 끝\n"
    expected = korean.replace("없이", "없이 { #without-preset }").replace("끝", "끝 { #the-end }")
    assert add_anchors(korean, english) == expected


def test_navigation_marks_what_is_in_english_only():
    """In the Korean navigation the title of a page without a translation ends in (영어)."""

    def titled(nav: list) -> list[tuple[str, str]]:
        pairs = []
        for entry in nav:
            for title, value in entry.items() if isinstance(entry, dict) else [("", entry)]:
                pairs += titled(value) if isinstance(value, list) else [(title, value)]
        return pairs

    for title, name in titled(tomllib.loads(read_text(SITES["ko"]))["project"]["nav"]):
        is_korean = name.startswith("learn/") or name in KOREAN_PAGES or name in KOREAN_TEXT
        if title:  # a page without a title in the navigation shows its own
            assert title.endswith("(영어)") != is_korean, name


def test_the_two_sites_differ_in_language_only():
    english, korean = (tomllib.loads(read_text(path))["project"] for path in SITES.values())
    for project in (english, korean):
        for key in ("nav", "site_dir", "site_description", "exclude_docs", "extra"):
            project.pop(key)
        project["plugins"].pop("redirects", None)
        project["theme"].pop("language")
        for palette in project["theme"]["palette"]:
            palette["toggle"].pop("name")
    assert english == korean


def test_the_notebook_links_to_the_pages():
    cells = nbformat.read(ROOT / "DCGAN.ipynb", as_version=4).cells
    links = set(re.findall(r"\((docs/[^)]+)\)", "".join(c.source for c in cells if c.cell_type == "markdown")))
    assert {f"docs/learn/en/{name}" for name in NAMES} <= links
    assert all((ROOT / link).exists() for link in links)


class LoadedResources(HTMLParser):
    """The addresses that a browser loads for a page, and the language of the page."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.language = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag == "html":
            self.language = values.get("lang") or ""
        if tag in ("img", "script", "iframe", "source", "video"):
            self.addresses += [values[key] or "" for key in ("src", "srcset") if key in values]
        if tag == "link" and values.get("rel") not in ("canonical", "alternate", "next", "prev"):
            self.addresses.append(values.get("href") or "")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both sites. A link without a target would end the build."""
    return build_sites(ROOT, tmp_path_factory.mktemp("site"))


def test_the_site_is_complete_and_loads_nothing_from_elsewhere(site: Path):
    for language, folder in (("en", site), ("ko", site / "ko")):
        for name in NAMES:
            stem = name.removesuffix(".md").removesuffix("index")
            page = LoadedResources()
            page.feed(read_text(folder / "learn" / language / stem / "index.html"))
            assert page.language == language
            assert page.addresses
            assert not [link for link in page.addresses if re.match(r"(https?:)?//", link)], name
    for sheet in site.rglob("*.css"):
        assert not re.search(r"(@import|url\()\s*['\"]?(https?:)?//", read_text(sheet)), sheet


def test_the_api_is_made_from_the_docstrings(site: Path):
    html = read_text(site / "api" / "index.html")
    for name in ("gradient_penalty", "conv_transpose_size", "Generator", "principal_directions"):
        assert re.search(rf'<h\d id="dcgan\.[\w.]*{name}"', html), name
    assert "Gulrajani et al. 2017" in html


class Links(HTMLParser):
    """The addresses that a page links to or loads, and the anchors that it has."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.anchors: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for key, value in attrs:
            if key in ("href", "src") and value:
                self.addresses.append(value)
            if key in ("id", "name") and value:
                self.anchors.add(value)


def test_no_internal_link_of_the_site_is_dead(site: Path):
    pages = {}
    for path in site.rglob("*.html"):
        pages[path] = Links()
        pages[path].feed(read_text(path))
    dead = []
    for path, page in pages.items():
        if path.name == "404.html":  # its links start at the root of a server
            continue
        for address in page.addresses:
            link, _, anchor = address.partition("#")
            if re.match(r"\w+:|//", address) or (site / "404.html" == path):
                continue
            target = (path.parent / link.partition("?")[0]).resolve() if link else path
            target = target / "index.html" if target.is_dir() else target
            if not target.exists() or (anchor and target in pages and anchor not in pages[target].anchors):
                dead.append((path.relative_to(site).as_posix(), address))
    assert dead == []


def test_the_reference_has_every_command_and_its_flags(site: Path):
    html = re.sub(r"<[^>]+>", "", read_text(site / "reference" / "cli" / "index.html"))
    for name in COMMANDS:
        assert f"dcgan {'data check' if name == 'data' else name}" in html
    terms = re.findall(r"<dt>(?:<code>)?([^<]*)", read_text(site / "reference" / "cli" / "index.html"))
    assert "MODEL" in terms
    for flag in ("--n-critic", "--truncation", "--train-on-fakes", "--single-file", "--data-root"):
        assert any(flag in term for term in terms), flag
    assert "│" not in html


def test_the_korean_site_says_which_pages_are_in_english_only(site: Path):
    assert "이 페이지는 영어로만 있습니다" in read_text(site / "ko" / "experiments" / "index.html")
    assert "이 페이지는 영어로만 있습니다" not in read_text(site / "ko" / "install" / "index.html")
    assert "패키지 인덱스에 올리지 않았습니다" in read_text(site / "ko" / "install" / "index.html")


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    """A server of the site on this machine."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(site))) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.mark.parametrize(
    ("english", "korean"),
    [
        ("", "ko/"),
        ("guides/troubleshooting/", "ko/guides/troubleshooting/"),
        ("learn/en/optimum/", "ko/learn/ko/optimum/"),
        ("reference/cli/", "ko/reference/cli/"),
    ],
)
def test_the_language_switch_stays_on_the_page(browser: Browser, address: str, english: str, korean: str):
    page = browser.new_page()
    for here, other, language in ((english, korean, "ko"), (korean, english, "en")):
        page.goto(address + here)
        link = page.locator(f"a[hreflang={language}]").first
        assert link.evaluate("link => link.href") == address + other
        assert page.goto(address + other).status == 200
    page.close()


@pytest.mark.parametrize(
    "name", ["", "gallery/", "install/", "reference/cli/", "results/", "learn/en/optimum/", "claims/"]
)
def test_no_page_is_wider_than_a_phone(browser: Browser, address: str, name: str):
    """Wide tables and code scroll in themselves."""
    page = browser.new_page(viewport={"width": 390, "height": 844})
    page.goto(address + name)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.close()


def test_the_figures_to_play_with_are_on_their_pages(browser: Browser, address: str):
    page = browser.new_page()
    for name, part in (("transposed-convolution", ".interactive-grid.output text"), ("optimum", ".interactive-canvas")):
        page.goto(f"{address}learn/en/{name}/")
        assert page.locator(part).count() >= 1
    page.close()
