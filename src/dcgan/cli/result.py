"""What every command returns."""

from typing import Any

Result = tuple[dict[str, Any], str]
"""What a command found: an object for `--json`, and the same for people."""
