"""The names in a zip, which older programs write in an encoding that the zip does not tell.

The standard is UTF-8, where a flag says so, and CP437 otherwise. Archivers of Windows write the encoding of the system
instead, and those of macOS write UTF-8 without the flag. `zipfile` reads all of these as CP437.
"""

import struct
import zipfile
import zlib
from collections.abc import Sequence

UTF8_FLAG = 0x800
STANDARD_ENCODING = "cp437"
UNICODE_PATH_ID = 0x7075
"""The extra field with the name in UTF-8, and the checksum of the name that it belongs to."""
UNICODE_PATH_VERSION = 1
FIRST_SYLLABLE, LAST_SYLLABLE = "가", "힣"
"""The Hangul syllables of Unicode."""


def readable_names(members: Sequence[zipfile.ZipInfo]) -> tuple[dict[str, str], list[str]]:
    """Return the name of each member by what `zipfile` calls it, and lines about what was guessed.

    Names without a flag are UTF-8 if all of them are, which is no chance. Otherwise they are Korean, CP949, if all are
    Hangul then. If not, they stay as they are.
    """
    names = {member.filename: member.filename for member in members}
    raw: dict[str, bytes] = {}
    for member in members:
        if member.flag_bits & UTF8_FLAG or member.filename.isascii():
            continue
        try:
            raw[member.filename] = member.filename.encode(STANDARD_ENCODING)
        except UnicodeEncodeError:  # newer versions of Python read the extra field themselves
            continue
        if (unicode_path := _unicode_path(member.extra, raw[member.filename])) is not None:
            names[member.filename] = unicode_path
            del raw[member.filename]
    if not raw:
        return names, []
    for decode in (_as_utf8, _as_hangul):
        decoded = {name: decode(content) for name, content in raw.items()}
        if all(decoded.values()):
            notices = [f"names in the zip are taken for Korean (CP949): {len(raw):,}"] if decode is _as_hangul else []
            return names | {name: text for name, text in decoded.items() if text}, notices
    return names, [
        f"names in the zip are in an unknown encoding and read as {STANDARD_ENCODING.upper()}: {len(raw):,}; if "
        "letters are wrong, make the zip again with UTF-8 names"
    ]


def _as_utf8(content: bytes) -> str | None:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return None


def _as_hangul(content: bytes) -> str | None:
    """Return a name in the original part of CP949 whose letters are ASCII or Hangul; None if it is none."""
    try:
        text = content.decode("euc_kr")
    except UnicodeDecodeError:
        return None
    return text if all(c.isascii() or FIRST_SYLLABLE <= c <= LAST_SYLLABLE for c in text) else None


def _unicode_path(extra: bytes, raw_name: bytes) -> str | None:
    """Return the name in the extra field of a member; None if there is none, or if it is of an earlier name."""
    while len(extra) >= 4:
        kind, size = struct.unpack_from("<HH", extra)
        field, extra = extra[4 : 4 + size], extra[4 + size :]
        if kind == UNICODE_PATH_ID and len(field) > 5:
            version, checksum = struct.unpack_from("<BI", field)
            if version == UNICODE_PATH_VERSION and checksum == zlib.crc32(raw_name):
                return _as_utf8(field[5:])
    return None
