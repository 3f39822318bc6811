"""`python benchmarks/hostile` runs the campaign."""

from __future__ import annotations

import os
import sys
from pathlib import Path

# One thread before torch is imported: children are forked, and threads do not come along.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"
sys.path[0] = str(Path(__file__).resolve().parents[1])

from hostile.campaign import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main())
