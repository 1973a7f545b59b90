"""Ask each external address of the documentation once whether it answers: `python .ci/check_links.py`.

It needs the network, so no test and no build runs it. Internal links are checked by `make docs` and by the tests.
"""

import re
import sys
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).parents[1]
TIMEOUT_S = 20
PLACEHOLDER = "repository.invalid"


def find_addresses(root: Path) -> dict[str, list[str]]:
    """Return each address with the files that link to it; blocks of code are left out."""
    found: dict[str, list[str]] = {}
    for path in sorted([*root.glob("*.md"), *root.glob("docs/**/*.md")]):
        text = re.sub(r"^```.*?^```$", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
        for address in re.findall(r"\]\((https?://[^)\s]+)\)", text):
            if PLACEHOLDER not in address:
                found.setdefault(address.partition("#")[0], []).append(path.relative_to(root).as_posix())
    return found


def ask(address: str) -> str | None:
    """Return why an address does not answer, or None if it does."""
    request = urllib.request.Request(address, headers={"User-Agent": "Mozilla/5.0 (link check)"})
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S):
            return None
    except urllib.error.HTTPError as error:
        return None if error.code in (403, 429) else f"status {error.code}"  # these refuse programs, not readers
    except OSError as error:
        return str(error)


if __name__ == "__main__":
    addresses = find_addresses(ROOT)
    problems = [(address, problem) for address in addresses if (problem := ask(address))]
    for address, problem in problems:
        print(f"{address}: {problem}; in {', '.join(sorted(set(addresses[address])))}")
    print(f"{len(addresses)} addresses, {len(problems)} without an answer")
    sys.exit(bool(problems))
