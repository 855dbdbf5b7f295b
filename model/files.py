"""Files that appear whole or not at all, whatever kills the process."""

import os
import tempfile
from pathlib import Path


def write_whole(file: Path, content: bytes | memoryview) -> None:
    """Write ``content`` to ``file``, replacing what is there; the folder must exist.

    The bytes reach the disk before the name does, so that not even a power cut leaves half a file.
    """
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        # mkstemp makes files for their owner only; folders of data and studies are often shared.
        temporary.chmod(0o644)
        temporary.replace(file)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
