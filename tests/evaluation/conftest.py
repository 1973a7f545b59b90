from pathlib import Path

import pytest

from dcgan.evaluation import copies as evaluation_copies
from dcgan.evaluation import measure
from dcgan.metrics import nearest


@pytest.fixture
def small_reference(monkeypatch: pytest.MonkeyPatch, shared_cache: Path) -> None:
    """Samples are compared with 400 real pictures, whose features all tests of a file share."""
    monkeypatch.setattr(measure, "MAX_REFERENCE_IMAGES", 400)
    monkeypatch.setattr(nearest, "MAX_SEARCHED", 1100)
    monkeypatch.setattr(evaluation_copies, "MAX_UNSEEN", 200)
    monkeypatch.setenv("DCGAN_CACHE", str(shared_cache))
