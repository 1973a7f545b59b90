"""The type that every command returns."""

from typing import Any

Result = tuple[dict[str, Any], str]
"""The result of a command: a JSON object for `--json`, and a text for people."""
