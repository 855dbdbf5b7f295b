"""Processes of the machine, as /proc tells of them, and what they listen on."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path

_LISTENS = "0A"


def descendants(ancestor: int) -> list[int]:
    """Processes that a process started, and those that they did."""
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                # The name in parentheses may hold blanks.
                parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:  # it ended just now
                continue
            children.setdefault(parent, []).append(int(folder.name))
    found: list[int] = []
    left = [ancestor]
    while left:
        mine = children.get(left.pop(), [])
        found += mine
        left += mine
    return found


def ray_processes(ancestor: int, *kinds: str) -> list[int]:
    """Those among the descendants that Ray has named, after one of ``kinds``."""
    return [number for number in descendants(ancestor) if is_ray(number, *kinds)]


def is_ray(process: int, *kinds: str) -> bool:
    """Whether a process runs that Ray has named after one of ``kinds``; Ray changes the name meanwhile."""
    names = tuple(f"ray::{kind}".encode() for kind in kinds or ("",))
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes().startswith(names)
    except OSError:
        return False


def is_running(process: int) -> bool:
    """Whether a process exists and has not ended."""
    return bool(command_of(process))


def command_of(process: int) -> str:
    """What a process was started with; empty if there is none, or if it has ended."""
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def listening_addresses(processes: Iterable[int]) -> set[str]:
    """Addresses of this machine on which one of the processes takes connections."""
    mine = {socket for process in processes for socket in _sockets(process)}
    return {
        _address(local.partition(":")[0])
        for table in ("tcp", "tcp6")
        for local, state, inode in _rows(Path(f"/proc/net/{table}"))
        if state == _LISTENS and inode in mine
    }


def _sockets(process: int) -> set[str]:
    found = set()
    with suppress(OSError):  # it ended just now
        for handle in Path(f"/proc/{process}/fd").iterdir():
            with suppress(OSError):
                target = str(handle.readlink())
                if target.startswith("socket:["):
                    found.add(target.removeprefix("socket:[").removesuffix("]"))
    return found


def _rows(table: Path) -> Iterator[tuple[str, str, str]]:
    for line in table.read_text().splitlines()[1:]:
        columns = line.split()
        yield columns[1], columns[3], columns[9]


def _address(written: str) -> str:
    """Four bytes at a time lie in the order of the processor."""
    content = bytes.fromhex(written)
    words = [content[start : start + 4][::-1] for start in range(0, len(content), 4)]
    address = ip_address(b"".join(words))
    return str(getattr(address, "ipv4_mapped", None) or address)
