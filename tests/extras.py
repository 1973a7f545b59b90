"""Tests that need an optional package: they are skipped where it is missing, and fail in `make test-extras`."""

import os
from importlib.util import find_spec

import pytest


def require(package: str) -> None:
    """Skip the test if a package is not installed."""
    if find_spec(package) is None:
        message = f"{package} is not installed: make test-extras"
        (pytest.fail if os.environ.get("DCGAN_EXTRAS") else pytest.skip)(message)
