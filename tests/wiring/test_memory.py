"""What a process that makes passes does about its memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

# Threads that each take memory beside the others; and how many heaps the C library has for them.
HEAPS = """
import ctypes, sys, threading
from bridge.wiring.memory import spare_memory
if sys.argv[1] == "spare":
    spare_memory()
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.fopen.restype = ctypes.c_void_p
together = threading.Barrier(8)
def take():
    together.wait()
    for size in range(1000, 3000):
        libc.malloc(ctypes.c_size_t(size))
    together.wait()
threads = [threading.Thread(target=take) for _ in range(8)]
for each in threads: each.start()
for each in threads: each.join()
out = ctypes.c_void_p(libc.fopen(sys.argv[2].encode(), b"w"))
libc.malloc_info(0, out)
libc.fclose(out)
"""


def heaps(how: str, told: Path) -> int:
    done = subprocess.run(
        [sys.executable, "-c", HEAPS, how, str(told)], capture_output=True, text=True, check=False
    )
    if "malloc_info" in done.stderr:
        pytest.skip("this C library is not glibc")
    assert done.stderr == ""
    return told.read_text("ascii").count("<heap nr=")


@pytest.mark.real
def test_threads_take_memory_from_one_heap(tmp_path: Path) -> None:
    told = tmp_path / "heaps.xml"
    assert heaps("as it is", told) > 1
    assert heaps("spare", told) == 1
