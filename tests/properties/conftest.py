"""What the property tests share."""

from __future__ import annotations

import sys
from pathlib import Path

# Test files are no package (importlib mode), and find what they share by name.
sys.path.insert(0, str(Path(__file__).parent))
