"""What importing and loading the editor, and editing a photograph, bring with them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

FIRST = """
import sys
from visagist import Editor
editor = Editor.from_pretrained("ifcvae-gan-smiling-64", device="cpu")
print([name for name in ("sklearn", "scipy", "tensorboard", "dlib", "typer", "huggingface_hub") if name in sys.modules])
"""
THEN = """
result = editor.edit_photo(sys.argv[1], Smiling=1)
for name in ("sklearn", "scipy", "tensorboard", "typer", "pyarrow", "skia", "visagist.data.sources", "rich"):
    if name in sys.modules:
        print(name)
"""


def test_an_editor_is_loaded_and_a_photograph_edited_without_the_libraries_that_fit_judge_train_and_draw() -> None:
    face = Path(__file__).parents[2] / "src" / "visagist" / "demo_face.png"
    code = [sys.executable, "-c", FIRST + THEN, str(face)]
    done = subprocess.run(code, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "[]\n"
