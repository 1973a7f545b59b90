"""The map in CONTRIBUTING.md against the tree: every module is named once, in its package, and nothing else is."""

import re
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "dcgan"
MAX_TOP_LEVEL_MODULES = 12


def modules_in_tree() -> list[str]:
    """Return every module by its path below the package; `__init__` files and `__main__` are not in the map."""
    paths = (path.relative_to(PACKAGE).with_suffix("").as_posix() for path in PACKAGE.rglob("*.py"))
    return sorted(path for path in paths if Path(path).name != "__init__" and path != "__main__")


def modules_in_map() -> list[str]:
    """Return every module that the map names."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```\n(cli/ .*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    folders: list[str] = []
    modules = []
    for line in filter(None, block.splitlines()):
        name = line.split()[0]
        depth = (len(line) - len(line.lstrip())) // 2
        folders = folders[:depth]
        if name.endswith("/"):
            folders.append(name.rstrip("/"))
        else:
            modules.append("/".join([*folders, name]))
    return modules


def test_the_map_names_every_module_once():
    counts = Counter(modules_in_map())
    assert [name for name, count in counts.items() if count > 1] == []
    assert sorted(counts) == modules_in_tree()


def test_few_modules_lie_directly_in_the_package():
    assert len(list(PACKAGE.glob("*.py"))) <= MAX_TOP_LEVEL_MODULES


def test_the_layers_are_those_of_the_import_rules():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```\n(cli \| .*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    in_text = [{name.strip() for name in layer.split(",")} for layer in block.split("|")]
    rules = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    (layers,) = re.findall(r'containers = \["dcgan"\]\nlayers = \[\n(.*?)\n\]', rules, flags=re.DOTALL)
    in_rules = [set(re.findall(r"\w+", line)) for line in layers.splitlines()]
    assert in_text == in_rules
