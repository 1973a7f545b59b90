import json
from pathlib import Path

from benchmarks.claims import page

RESULTS = json.loads(Path("docs/claims.json").read_text())


def test_the_page_is_rendered_from_the_stored_results():
    assert Path("docs/claims.md").read_text() == page.render_page(RESULTS)


def test_without_results_every_claim_is_not_measured():
    text = page.render_page({})
    assert text.count("not measured yet") == len(page.CLAIMS)
