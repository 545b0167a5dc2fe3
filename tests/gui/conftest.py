"""What the window's tests share: sample jobs that a child process can import."""

from __future__ import annotations

import sys
from pathlib import Path

# Test files are no package (importlib mode), but a spawned child must find the sample jobs by name.
sys.path.insert(0, str(Path(__file__).parent))
