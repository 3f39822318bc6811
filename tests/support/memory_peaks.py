"""How much memory a few lines take, in a process of their own."""

from __future__ import annotations

import subprocess
import sys

_FRAME = """
import resource, sys
from visagist.errors import VisagistError
{imports}
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
resource.setrlimit(resource.RLIMIT_CPU, (60, 60))
said = ""
try:
    {work}
except VisagistError as error:
    said = str(error)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
print(said)
"""


def peak(imports: str, work: str, *arguments: object) -> tuple[int, str]:
    """The MiB that `work` takes beyond what `imports` take, and the line of the VisagistError that it ends with, or ""."""
    code = _FRAME.format(imports=imports, work=work)
    words = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    mebibytes, _, said = done.stdout.partition("\n")
    return int(mebibytes), said.strip()
