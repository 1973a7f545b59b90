import json
import re
from collections import Counter
from pathlib import Path

from benchmarks.claims import page

RESULTS = json.loads(Path("docs/claims.json").read_text())


def test_the_page_is_rendered_from_the_stored_results():
    assert Path("docs/claims.md").read_text() == page.render_page(RESULTS)


def numbers(text: str) -> Counter[str]:
    """Return the numbers of a page, without those in code and in links."""
    text = re.sub(r"\([^()\s]*\.md[^()\s]*\)|`[^`]*`", "", text)
    return Counter(re.findall(r"\d+(?:,\d+)*(?:\.\d+)?(?:e-\d+)?", text))


def test_the_korean_page_has_the_same_numbers():
    english, korean = (
        numbers(Path(path).read_text(encoding="utf-8")) for path in ("docs/claims.md", "docs/ko/claims.md")
    )
    assert korean - english == Counter()
    assert english - korean == Counter()


def test_without_results_every_claim_is_not_measured():
    text = page.render_page({})
    assert text.count("not measured yet") == len(page.CLAIMS)
