"""Which segment a person means: one of the definitions by its key, or a file that may not be among them yet."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

from segments.definition import Segment, build_segment
from segments.definition_files import read_content
from segments.errors import UnknownSegmentError

if TYPE_CHECKING:
    from collections.abc import Sequence

NEAREST = 3


def choose_segment(segments: Sequence[Segment], name: str | Segment) -> Segment:
    """Return the segment of a key or of a definition file; a key comes first. A segment is itself.

    What a request names is never a file: give the segment.

    Raises:
        SegmentsError: there is no such segment, or the file cannot be used.
    """
    if isinstance(name, Segment):
        return name
    by_key = {segment.key: segment for segment in segments}
    if name in by_key:
        return by_key[name]
    file = Path(name)
    # No key has a dot or a slash.
    if "." in name or "/" in name or file.is_file():
        return build_segment(read_content(file), where=name)
    return find_segment(segments, name)


def find_segment(segments: Sequence[Segment], key: str) -> Segment:
    """Return the segment of a key.

    Raises:
        UnknownSegmentError: there is no such segment; the nearest keys are named, or all where none is near.
    """
    by_key = {segment.key: segment for segment in segments}
    if key in by_key:
        return by_key[key]
    nearest = get_close_matches(key, by_key, n=NEAREST)
    hint = f"did you mean {' or '.join(map(repr, nearest))}?" if nearest else f"there are: {', '.join(by_key)}"
    raise UnknownSegmentError(f"no segment {key!r}; {hint}")
