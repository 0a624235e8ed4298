"""The lock of the data folder: one process at a time runs services on it."""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING

from console.embedded.errors import DataFolderBusyError, DataFolderError

if TYPE_CHECKING:
    from pathlib import Path
    from typing import TextIO


def claim(folder: Path) -> TextIO:
    """Create the folder when it is missing and lock it; closing the returned file releases it.

    The kernel releases it when the process ends, even when it is killed.

    Raises:
        DataFolderBusyError: another process, or another object in this one, holds it.
        DataFolderError: it cannot be created or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / "lock").open("a+")
    except OSError as error:
        raise DataFolderError(
            f"The data folder {folder} cannot be used: {error.strerror}. Choose another data folder."
        ) from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        file.seek(0)
        holder = file.read().strip()
        file.close()
        raise DataFolderBusyError(folder, holder) from error
    file.truncate(0)
    file.write(f"{os.getpid()}\n")
    file.flush()
    return file
