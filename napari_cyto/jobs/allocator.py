"""What the environment of a process that computes networks must hold before it starts."""

from __future__ import annotations

ALLOCATOR = {
    "MALLOC_MMAP_THRESHOLD_": "33554432",
    "MALLOC_TRIM_THRESHOLD_": "4294967296",
    "MALLOC_TOP_PAD_": "268435456",
}
"""glibc gives freed memory back after each layer and faults it in again, which costs a factor of two to three."""
