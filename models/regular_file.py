"""Reading of files that others wrote: a device, a pipe or a file of any size must not hold up or fill a worker."""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def read_regular_file(path: Path, most: int, *, follow: bool = False) -> bytes:
    """Return the bytes of a regular file.

    Args:
        path: the file.
        most: the most bytes that it may have.
        follow: whether it may be a symbolic link to one.

    Raises:
        OSError: it cannot be read, is no regular file, or is larger.
    """
    # Without O_NONBLOCK a pipe would wait for somebody who writes.
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | (0 if follow else os.O_NOFOLLOW)
    try:
        handle = os.open(path, flags)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise OSError(errno.ELOOP, "a symbolic link; copy the file") from error
        raise
    with os.fdopen(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, "no regular file")
        content = file.read(most + 1)
    if len(content) > most:
        raise OSError(errno.EFBIG, f"more than {most:,} bytes")
    return content
