"""Processes of the machine, as /proc tells of them."""

from pathlib import Path


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


def ray_processes(ancestor: int, kind: str = "") -> list[int]:
    """Those among the descendants that Ray has named, after ``kind``."""
    return [number for number in descendants(ancestor) if is_ray(number, kind)]


def is_ray(process: int, kind: str = "") -> bool:
    """Whether a process runs that Ray has named after ``kind``."""
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes().startswith(f"ray::{kind}".encode())
    except OSError:
        return False
