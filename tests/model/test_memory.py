import subprocess
import sys

FREES = """
import torch
from pathlib import Path
from model.memory import keep_freed_memory
def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096
keep_freed_memory()
before = resident()
many = [torch.ones(1 << 18) for _ in range(200)]
del many
print((resident() - before) / (200 << 20))
"""
"""Takes and frees 200 MB; prints the share of it that the process still has."""


def test_freed_memory_stays_for_the_next_tensors() -> None:
    done = subprocess.run([sys.executable, "-c", FREES], capture_output=True, text=True, check=True)
    assert float(done.stdout) > 0.9
