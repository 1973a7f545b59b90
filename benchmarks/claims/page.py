"""The page docs/claims.md, written from the results in docs/claims.json: no part of it is written by hand."""

import re
from typing import Any

from benchmarks.claims.rows import ROWS

Results = dict[str, Any]

HEADER = """# The claims of the study's document, measured

The document that this package grew from explains DCGAN and says what it does better. This page shows each of its claims
beside what was measured. `python -m benchmarks.claims page` writes it from the results in `docs/claims.json`.
Numbers in parentheses are 95% intervals over seeds, unless something else is said.

| | the document | verdict | measured |
|---|---|---|---|
"""
CLAIMS = {
    "a": "DCGAN draws much better digits than the vanilla GAN",
    "b": "a lower generator loss means finer pictures",
    "c": "training is unstable; WGAN with gradient penalty cures it",
    "d": "a conditional GAN draws the requested class",
    "e": "when all goes well D(x) and D(G(z)) end at 1/2",
    "f": "at first log(1 - D(G(z))) hardly has a gradient; maximizing D(G(z)) has a larger one",
    "g": "each layer doubles (G) or halves (D) the size",
    "h": "the generator's loss is log(1 - D(G(z))); at the goal P_data = P_z",
}
"""What the document says."""
DURATION_HEADER = """## How long it took

| part | command | date | seconds | threads | load |
|---|---|---|---|---|---|
"""


def render_page(results: Results) -> str:
    """Return the text of the page."""
    table, sections = [], []
    for letter, claim in CLAIMS.items():
        row = ROWS[letter](results)
        table.append(f"| {letter} | {claim} | **{row.verdict}** | {row.summary} |")
        if row.details:
            sections.append(f"## ({letter}) {claim[0].upper()}{claim[1:]}\n\n{row.details}\n")
    return HEADER + "\n".join(table) + "\n\n" + "\n".join(sections) + "\n" + _render_durations(results)


def _without_places(command: str) -> str:
    """Return a command with the names of folders only, not where they were on the machine."""
    return re.sub(r"(?<=\s)/\S*/", "", command)


def _render_durations(results: Results) -> str:
    lines, total_s = [], 0.0
    for part, part_results in results.items():
        about = part_results["about"]
        total_s += about["seconds"]
        lines.append(
            f"| {part} | `{_without_places(about['command'])}` | {about['date']} | {about['seconds']:,.0f} | "
            f"{about['threads']} | {about['load']} |"
        )
        for comparison in part_results.get("comparisons", []):
            total_s += comparison["seconds"]
            lines.append(f"| its runs | | | {comparison['seconds']:,.0f} of training | | |")
    footer = (
        f"\nIn all {total_s / 60:,.1f} minutes. The load is the average of the machine over a minute; above 2, other "
        "programs shared its cores.\n"
    )
    return DURATION_HEADER + "\n".join(lines) + "\n" + footer
