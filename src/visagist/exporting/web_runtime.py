"""onnxruntime-web for exported pages: a folder of it that is named or kept, or on request a download by npm; checked."""

from __future__ import annotations

import gzip
import hashlib
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from visagist.errors import VisagistError, first_line
from visagist.files import cache_folder, rename_synced, waiting_path, write_synced
from visagist.progress import Progress

PACKAGE, VERSION = "onnxruntime-web", "1.22.0"
NPM = "npm"  # what `--runtime` says to have it downloaded
DOWNLOAD_MB = 20
MINUTES = 10
_WASM = ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")
_WEBGPU = ("ort.webgpu.min.mjs", "ort-wasm-simd-threaded.jsep.mjs", "ort-wasm-simd-threaded.jsep.wasm")
SHA256 = {
    "ort.wasm.min.mjs": "6ef726f355b791129f7ddf3f62e7877a16b9b777abe87004b8ab306e6b9cf265",
    "ort-wasm-simd-threaded.mjs": "30dd851d9c00622940500f71ddd2ff8820c5cb65270816080175b958705385a8",
    "ort-wasm-simd-threaded.wasm": "71aef04959c5c1b6de461b6538e2058e306610034a85aad2742d0c7fd4533fe4",
    "ort.webgpu.min.mjs": "e131e81c9324807e1e6f9103e8f8e936112827dcc9993cde9407a333b1f07ae0",
    "ort-wasm-simd-threaded.jsep.mjs": "1cbcba8f2c769c1eecbab66a1b1e55ef11704515bf4306373e3db3c37cf6dcd8",
    "ort-wasm-simd-threaded.jsep.wasm": "b45970d0632383a057c27ca5b660b216f8e00c17cf8db9f6207b5e4abc839368",
}
GET = f"--runtime npm downloads it once ({DOWNLOAD_MB} MB), or --runtime FOLDER names one that `npm pack` made"


def find_runtime(named: str | Path | None, progress: Progress) -> Path:
    """The folder of onnxruntime-web's files: one that is named, the one that was downloaded before, or npm's now.

    Only `npm` uses the network, and says so. VisagistError where it is not there or is another version.
    """
    kept = cache_folder() / f"{PACKAGE}-{VERSION}"
    if named == NPM and not (kept / _WASM[0]).exists():
        progress.message(f"npm downloads {PACKAGE} {VERSION} from its registry, {DOWNLOAD_MB} MB, into {kept}")
        _download(kept)
    if named not in (None, NPM):
        folder = _dist(Path(str(named)).expanduser())
    elif (kept / _WASM[0]).exists():
        folder = kept
    else:
        installed = Path("node_modules") / PACKAGE / "dist"
        if not installed.is_dir():
            raise VisagistError(f"{PACKAGE} {VERSION}, which runs models in a browser, is not here: {GET}")
        folder = installed
    for name, expected in SHA256.items():
        if _sha256(folder / name) != expected:
            raise VisagistError(f"{folder / name} is not that of {PACKAGE} {VERSION}: {GET}")
    return folder


def _dist(folder: Path) -> Path:
    """Where in a named folder the files lie."""
    for part in ("", "dist", "package/dist", f"node_modules/{PACKAGE}/dist"):
        if (folder / part / _WASM[0]).is_file():
            return folder / part
    raise VisagistError(f"{folder} does not hold {PACKAGE}: {GET}")


def _sha256(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise VisagistError(f"cannot read {path}: {error.strerror or error}; {GET}") from error


def _download(kept: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise VisagistError(f"npm is not installed, which downloads {PACKAGE}: install Node.js, or --runtime FOLDER")
    with tempfile.TemporaryDirectory() as scratch:
        command = [npm, "pack", f"{PACKAGE}@{VERSION}", "--silent", "--pack-destination", scratch]
        try:
            run = subprocess.run(command, capture_output=True, text=True, timeout=60 * MINUTES, cwd=scratch, check=False)
        except subprocess.TimeoutExpired as error:
            raise VisagistError(f"npm took more than {MINUTES} minutes: try again, or --runtime FOLDER") from error
        if run.returncode:
            reason = first_line(RuntimeError(run.stderr or f"status {run.returncode}"))
            raise VisagistError(f"npm could not download {PACKAGE}: {reason}; try again, or --runtime FOLDER")
        with tarfile.open(next(Path(scratch).glob("*.tgz"))) as archive:
            files = {name: archive.extractfile(f"package/dist/{name}") for name in SHA256}
            kept.mkdir(parents=True, exist_ok=True)
            for name, file in files.items():
                assert file is not None
                fresh = waiting_path(kept / name)
                write_synced(fresh, file.read())
                rename_synced(fresh, kept / name)


def copy_runtime(source: Path, site: Path) -> dict[str, Any]:
    """Copy the runtime into a site's folder `runtime/`, binaries packed by gzip; what the page needs to know of it."""
    folder, facts = site / "runtime", dict[str, Any](version=VERSION)
    folder.mkdir()
    for kind, (module, glue, binary) in (("wasm", _WASM), ("webgpu", _WEBGPU)):
        for name in (module, glue):
            shutil.copyfile(source / name, folder / name)
        packed = gzip.compress((source / binary).read_bytes(), 6, mtime=0)
        (folder / f"{binary}.gz").write_bytes(packed)
        facts[kind] = {"module": module, "glue": glue, "binary": f"{binary}.gz", "bytes": len(packed)}
    notice = f"{PACKAGE} {VERSION}, Copyright (c) Microsoft Corporation, MIT License: https://github.com/microsoft/onnxruntime\n"
    (folder / "LICENSE.txt").write_text(notice, encoding="utf-8")
    return facts
