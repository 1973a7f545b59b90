from pathlib import Path

import pytest

from dcgan.comparison import plan, probe
from dcgan.evaluation import grids, measure

SAMPLE_COUNT = 130
"""Samples of each evaluation."""


@pytest.fixture
def _small(monkeypatch: pytest.MonkeyPatch, without_report: None, shared_cache: Path) -> None:
    """Comparisons use few real pictures, few samples, and two parts for each run."""
    monkeypatch.setenv("DCGAN_CACHE", str(shared_cache))
    monkeypatch.setattr(measure, "MAX_REFERENCE_IMAGES", 400)
    monkeypatch.setattr(grids, "MAX_FLOOR_IMAGES", 400)
    monkeypatch.setattr(probe, "MAX_REFERENCE_IMAGES", 400)
    monkeypatch.setattr(probe, "PROBE_SAMPLE_COUNT", 110)
    monkeypatch.setattr(plan, "PART_COUNT", 2)
    probe._real_features.cache_clear()


def file_states(root: Path) -> dict[str, tuple[int, int]]:
    """Return size and time of each file below a folder."""
    return {str(p): (p.stat().st_size, p.stat().st_mtime_ns) for p in sorted(root.rglob("*")) if p.is_file()}
