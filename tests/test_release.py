"""What a release needs: the check refuses what it must, and the workflows run what there is."""

import importlib.util
import re
import shutil
import subprocess
from pathlib import Path
from types import ModuleType

import pytest
import yaml

ROOT = Path(__file__).parent.parent
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
FILES = (
    ".ci/check_release.py",
    "src/dcgan/__init__.py",
    "src/dcgan/system/install.py",
    "CHANGELOG.md",
    "pyproject.toml",
)


def load_check() -> ModuleType:
    spec = importlib.util.spec_from_file_location("check_release", ROOT / ".ci" / "check_release.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


check = load_check()


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A small clone that may be released as 1.2.3."""
    for name in FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    for name in ("src/dcgan/system/install.py", "pyproject.toml"):
        path = tmp_path / name
        path.write_text(path.read_text().replace("repository.invalid", "git.example"))
    (tmp_path / "src/dcgan/__init__.py").write_text('__version__ = "1.2.3"\n')
    (tmp_path / "CHANGELOG.md").write_text("# Changes\n\n## 1.2.3, 2027-01-02\n")
    (tmp_path / "dist").mkdir()
    for name in ("dcgan-1.2.3-py3-none-any.whl", "dcgan-1.2.3.tar.gz"):
        (tmp_path / "dist" / name).write_bytes(b"")
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    subprocess.run(["git", "add", "."], cwd=tmp_path, check=True)
    return tmp_path


def test_what_is_complete_may_be_released(clone: Path):
    assert check.list_problems(clone, "v1.2.3") == []


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("src/dcgan/__init__.py", '__version__ = "1.2.3.dev0"', "1.2.3.dev0 is not a final one"),
        ("CHANGELOG.md", "## 1.2.3, not released", "no section `## 1.2.3, YYYY-MM-DD`"),
        ("src/dcgan/system/install.py", 'SOURCE = "git+https://repository.invalid/dcgan"', "SOURCE is a placeholder"),
        (
            "pyproject.toml",
            '[project]\nurls = {Repository = "https://repository.invalid/dcgan"}',
            "pyproject.toml: names",
        ),
    ],
)
def test_what_is_not_complete_is_refused_by_name(clone: Path, name: str, text: str, problem: str):
    (clone / name).write_text(text + "\n")
    assert any(problem in line for line in check.list_problems(clone, None))


def test_another_tag_and_a_large_wheel_are_refused(clone: Path):
    with (clone / "dist" / "dcgan-1.2.3-py3-none-any.whl").open("wb") as file:
        file.truncate(30_000_001)
    problems = check.list_problems(clone, "v1.2.4")
    assert any("v1.2.4 is not v1.2.3" in line for line in problems)
    assert any("has 30.0 MB" in line for line in problems)


def test_the_sources_of_today_are_refused():
    """Until the repository has an address. When it has one, this test and the placeholder go."""
    assert any("SOURCE is a placeholder" in line for line in check.list_problems(ROOT, None))


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflows_need_no_secret_and_run_what_there_is(path: Path):
    text = path.read_text(encoding="utf-8")
    assert "secrets." not in text
    jobs = yaml.safe_load(text)["jobs"]
    commands = [step["run"] for job in jobs.values() for step in job["steps"] if "run" in step]
    makefile = (ROOT / "Makefile").read_text()
    for command in commands:
        if command.startswith("make "):
            assert f"\n{command.split()[1]}:" in makefile
        for script in re.findall(r"\.ci/\S+", command):
            assert (ROOT / script).exists()


def test_there_are_workflows_for_tests_the_site_and_a_release():
    assert [path.stem for path in WORKFLOWS] == ["docs", "release", "tests"]


def test_only_the_job_that_publishes_may_ask_for_an_identity():
    jobs = yaml.safe_load((ROOT / ".github/workflows/release.yml").read_text())["jobs"]
    assert [name for name, job in jobs.items() if "id-token" in job.get("permissions", {})] == ["publish"]
    assert jobs["publish"]["needs"] == "try"


def test_the_check_of_external_links_finds_them_with_their_files(tmp_path: Path):
    """It is run by hand, because it needs the network; here it is only asked what it would ask."""
    spec = importlib.util.spec_from_file_location("check_links", ROOT / ".ci" / "check_links.py")
    assert spec is not None
    assert spec.loader is not None
    links = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(links)
    (tmp_path / "docs").mkdir()
    (tmp_path / "A.md").write_text("[a](https://a.example/x#y) [b](docs/b.md)\n\n```\n[c](https://c.example)\n```\n")
    (tmp_path / "docs" / "b.md").write_text("[a](https://a.example/x) [d](https://repository.invalid/d)\n")
    assert links.find_addresses(tmp_path) == {"https://a.example/x": ["A.md", "docs/b.md"]}
