"""CIFAR-10 in its own two versions: 32×32 pictures of ten classes, and each class an attribute.

The binary version is `data_batch_1.bin` … `data_batch_5.bin` and `test_batch.bin`: records of one byte for the class and
3072 for the picture, its planes R, G and B row by row. The python version is `data_batch_1` … `test_batch`, the same in
Python 2 pickles. `batches.meta.txt` or `batches.meta` names the classes; where it is not there, the names are known.

An attribute is the name of a class with a leading capital, and a picture has exactly one. The test batch is the test split.
The last tenth of the training pictures, which is the second half of the fifth batch, is the validation split. A picture's
name is `FILE#ROW`.

Source: Krizhevsky (2009), "Learning Multiple Layers of Features from Tiny Images".
"""

from __future__ import annotations

import io
import pickle
import pickletools
import struct
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from visagist.boundary.untrusted import read_regular
from visagist.data.catalogue import Catalogue, fingerprint
from visagist.errors import VisagistError

_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_BATCHES = (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch")
_FOLDERS = ("", "cifar-10-batches-bin", "cifar-10-batches-py")
_ARCHIVES = ("cifar-10-binary.tar.gz", "cifar-10-python.tar.gz")
_SIDE = 32
_PIXELS = 3 * _SIDE * _SIDE
_PROTOCOL = 4  # of pickles; that of CIFAR-10 is 2
_LARGEST = 1 << 30  # bytes of a batch, which has 31 million in CIFAR-10
# A picture goes on as BMP: behind this header its pixels, blue first, the rows from the top down (a negative height).
_HEADER = struct.pack("<2sIIIIiiHHIIiiII", b"BM", 54 + _PIXELS, 0, 54, 40, _SIDE, -_SIDE, 1, 24, 0, _PIXELS, 0, 0, 0, 0)


class _Batch(NamedTuple):
    """N pictures of one file: classes [N] uint8, 0 to 9, and planes [N, 3, 32, 32] uint8."""

    classes: NDArray[np.uint8]
    planes: NDArray[np.uint8]


def read_cifar10(path: Path) -> Catalogue:
    """The pictures of a folder of batches, or of the folder above it, in the order of the batches.

    Of both versions side by side the binary one is read. Raises VisagistError for a folder without batches, a missing
    or damaged one, batches of unequal size, and a pickle that asks for more than arrays of numpy.
    """
    folder, suffix = _find_batches(path)
    files = [folder / f"{name}{suffix}" for name in _BATCHES]
    missing = [file.name for file in files if not file.is_file()]
    if missing:
        raise VisagistError(f"{folder} has no {', '.join(missing)}: unpack the whole archive of CIFAR-10 there")
    read = _read_binary if suffix else _read_pickled
    meta = folder / ("batches.meta.txt" if suffix else "batches.meta")
    parts = [read(file).classes for file in files]
    _check_sizes(files, [len(part) for part in parts])
    classes = np.concatenate(parts)
    training = sum(len(part) for part in parts[:-1])
    split = np.zeros(len(classes), dtype=np.uint8)
    split[training - max(1, training // 10) : training] = 1
    split[training:] = 2
    return Catalogue(
        source=f"cifar10:{folder.resolve().name}",
        location=str(folder.resolve()),
        default_crop="square",
        files=tuple(f"{file.name}#{row}" for file, part in zip(files, parts) for row in range(len(part))),
        labels=np.eye(len(_CLASSES), dtype=np.uint8)[classes],
        names=_read_names(meta) if meta.is_file() else tuple(map(str.capitalize, _CLASSES)),
        split=split,
        pictures=lambda: _encode_pictures(files, read),
        fingerprint=fingerprint(folder, [file.name for file in (*files, meta) if file.is_file()]),
        facts={"version": "binary" if suffix else "python",
               "split_by": "the source, and the last tenth of its training pictures validates"},
    )  # fmt: skip


def _find_batches(path: Path) -> tuple[Path, str]:
    """The folder of the batches, and the suffix of their names."""
    if path.is_file():
        raise VisagistError(f"{path} is a file: unpack the archive of CIFAR-10, and give cifar10: the folder that it makes")
    if not path.is_dir():
        raise VisagistError(f"no folder {path}: give cifar10: the folder that holds data_batch_1.bin or data_batch_1")
    for below in _FOLDERS:
        for suffix in (".bin", ""):
            if any((path / below / f"{name}{suffix}").is_file() for name in _BATCHES):
                return path / below, suffix
    packed = next((path / name for name in _ARCHIVES if (path / name).is_file()), None)
    if packed is not None:
        raise VisagistError(f"{packed} is not unpacked: unpack it there, and give cifar10:{path}")
    raise VisagistError(
        f"{path} holds no batch of CIFAR-10: give cifar10: the folder of data_batch_1.bin or data_batch_1, or that above it"
    )


def _check_sizes(files: Sequence[Path], counts: Sequence[int]) -> None:
    """Refuse batches of unequal size: a shorter one was cut, even if between two records."""
    for file, count in zip(files, counts):
        if count != max(counts):
            raise VisagistError(
                f"{file} holds {count} pictures, not {max(counts)} as the largest batch beside it: copy CIFAR-10 again"
            )


def _read_bytes(file: Path) -> bytes:
    try:
        return read_regular(file, _LARGEST)
    except OSError as error:
        raise VisagistError(f"cannot read {file}: {error.strerror or error}") from error


def _read_binary(file: Path) -> _Batch:
    data = np.frombuffer(_read_bytes(file), dtype=np.uint8)
    if len(data) == 0 or len(data) % (1 + _PIXELS):
        whole = 10000 * (1 + _PIXELS)
        raise VisagistError(
            f"{file} is damaged: its {len(data)} bytes are no whole records of {1 + _PIXELS} ({whole} in CIFAR-10); "
            "copy it again"
        )
    records = data.reshape(-1, 1 + _PIXELS)
    return _make_batch(file, records[:, 0].tolist(), records[:, 1:])


def _read_pickled(file: Path) -> _Batch:
    content = _unpickle(file)
    match content:
        case {
            b"data": _Recorded(
                state=(_, (int(number), int(width)), _Recorded(given=("u1" | b"u1", *_)), columns, bytes(raw))
            ),
            b"labels": list(labels),
        }:
            pass
        case _:
            keys = [key for key in content if isinstance(key, bytes)] if isinstance(content, dict) else None
            got = f"a {type(content).__name__}" if keys is None else f"a dict of {keys}"
            raise VisagistError(
                f"{file} is no batch of CIFAR-10: it holds {got[:200]}, not b'data', uint8 [N, {_PIXELS}], and b'labels', "
                "a list; copy it again"
            )
    if number < 1 or width != _PIXELS or len(raw) != number * width or len(labels) != number:
        raise VisagistError(
            f"{file} is damaged: data [{number}, {width}] of {len(raw)} bytes and {len(labels)} labels, not [N, {_PIXELS}] "
            "uint8 and N labels; copy it again"
        )
    pixels = np.frombuffer(raw, dtype=np.uint8).reshape((number, width), order="F" if columns else "C")
    return _make_batch(file, labels, pixels)


def _make_batch(file: Path, labels: Sequence[Any], pixels: NDArray[np.uint8]) -> _Batch:
    """A batch of N labels and of pixels [N, 3072]; VisagistError for a label that is none."""
    for row, label in enumerate(labels):
        if type(label) is not int or label not in range(len(_CLASSES)):
            plain = isinstance(label, (str, bytes)) or (type(label) is int and abs(label) < 1000)
            got = f"{label!r:.40}" if plain else f"a {type(label).__name__}"
            raise VisagistError(f"{file} is damaged: the label of picture {row} is {got}, not 0 to 9; copy it again")
    return _Batch(np.array(labels, dtype=np.uint8), pixels.reshape(-1, 3, _SIDE, _SIDE))


def _encode_pictures(files: Sequence[Path], read: Callable[[Path], _Batch]) -> Iterator[bytes]:
    for file in files:
        for planes in read(file).planes:
            yield _HEADER + planes[::-1].transpose(1, 2, 0).tobytes()


def _read_names(meta: Path) -> tuple[str, ...]:
    """The attributes in the order of the classes, as the file of names has them."""
    if meta.suffix == ".txt":
        words: Any = _read_bytes(meta).splitlines()
    else:
        content = _unpickle(meta)
        words = content.get(b"label_names") if isinstance(content, dict) else []
    try:
        names = [name for word in words if (name := word.decode().strip())]
    except (AttributeError, TypeError, UnicodeDecodeError):
        names = []
    if len(set(names)) != len(_CLASSES) or len(names) != len(_CLASSES):
        raise VisagistError(
            f"{meta} names {len(names)} classes, not {len(_CLASSES)} different ones: copy it again, or remove it"
        )
    return tuple(name[0].upper() + name[1:] for name in names)


class _Recorded:
    """The arguments and the state of a call in a pickle, recorded and not made.

    Not even numpy's constructors may get data from outside: a forged dtype turns bytes into pointers.
    """

    def __init__(self, *given: Any) -> None:
        self.given = given
        self.state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state


# The names that a batch may hold, and their stand-ins. The genuine functions are never called.
_STAND_INS: dict[tuple[str, str], Any] = {
    ("numpy.core.multiarray", "_reconstruct"): _Recorded,
    ("numpy._core.multiarray", "_reconstruct"): _Recorded,
    ("numpy", "ndarray"): _Recorded,
    ("numpy", "dtype"): _Recorded,
    ("_codecs", "encode"): None,
}


class _Unpickler(pickle.Unpickler):
    """Reads numbers, bytes, strings, lists, dicts and arrays, and refuses whatever else a pickle names."""

    def __init__(self, file: Path, data: bytes) -> None:
        super().__init__(io.BytesIO(data), encoding="bytes")
        self.file, self.left = file, len(data)

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _STAND_INS:
            dotted = f"{module}.{name}"
            raise VisagistError(
                f"{self.file} is refused: it asks for {dotted!r:.80}, which CIFAR-10 does not need and which may run code; "
                "use the binary version, cifar-10-binary.tar.gz, instead"
            )
        return _STAND_INS[module, name] or self._latin1

    def _latin1(self, text: str, encoding: str) -> bytes:
        """Decode bytes as Python 3 writes them for Python 2; in all no more than the pickle's own size."""
        self.left -= len(text)
        if self.left < 0:
            raise ValueError("it repeats its bytes")
        return text.encode("latin1")


def _unpickle(file: Path) -> Any:
    """What a pickle holds, arrays as `_Recorded`; VisagistError where it is damaged or asks for anything else."""
    data = _read_bytes(file)
    try:
        _check_opcodes(data)
        return _Unpickler(file, data).load()
    except VisagistError:
        raise
    except Exception as error:  # a damaged pickle raises anything from EOFError to MemoryError
        why = " ".join(str(error).split()) or type(error).__name__
        size = file.stat().st_size
        raise VisagistError(f"{file} is damaged: its {size} bytes are no whole pickle ({why}); copy it again") from error


def _check_opcodes(data: bytes) -> None:
    """Raise ValueError where a few bytes of a pickle would make the reader allocate gigabytes.

    The pickle itself names the indices of its memo, and the reader allocates the memo up to the largest index.
    """
    for opcode, argument, position in pickletools.genops(data):
        if opcode.name in ("PUT", "BINPUT", "LONG_BINPUT") and int(argument or 0) > len(data):
            raise ValueError(f"place {argument} of its memo at byte {position}")
        if opcode.name == "BYTEARRAY8" or opcode.proto > _PROTOCOL:
            raise ValueError(f"{opcode.name} at byte {position}, which CIFAR-10 does not have")
