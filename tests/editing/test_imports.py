"""What importing and loading the editor brings with it."""

from __future__ import annotations

import subprocess
import sys

CODE = """
import sys
from visagist import Editor
Editor.from_pretrained("ifcvae-gan-smiling-64", device="cpu")
print([name for name in ("sklearn", "scipy", "tensorboard", "dlib", "typer", "huggingface_hub") if name in sys.modules])
"""


def test_an_editor_is_loaded_without_the_libraries_that_fit_judge_and_train() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "[]\n"
