from pathlib import Path

import pytest

from dcgan.evaluation import measure


@pytest.fixture
def small_reference(monkeypatch: pytest.MonkeyPatch, shared_cache: Path) -> None:
    """Samples are compared with 400 real pictures, whose features all tests of a file share."""
    monkeypatch.setattr(measure, "MAX_REFERENCE_IMAGES", 400)
    monkeypatch.setenv("DCGAN_CACHE", str(shared_cache))
