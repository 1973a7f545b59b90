from pathlib import Path

import pytest

from dcgan.comparison.runs import read_parts
from dcgan.errors import UserError
from dcgan.run.folder import RunFolder


def test_parts_that_are_damaged_are_refused(tmp_path: Path):
    (tmp_path / "parts.json").write_text('{"format_version": 1, "parts": 3}')
    with pytest.raises(UserError, match=r"parts\.json is damaged: remove"):
        read_parts(RunFolder(tmp_path))
