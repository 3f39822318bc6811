"""Content credentials (C2PA 2.2): a signed manifest in the file that says what was done, for who has a certificate to sign.

XMP can be changed by anybody; a signature shows that nobody has changed picture or account since. It is an addition: the
account in XMP is always there.
"""

from __future__ import annotations

import importlib
import io
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from visagist.boundary.schema import Open, json_text, parse_json
from visagist.boundary.untrusted import PEM_BYTES, read_regular
from visagist.errors import VisagistError
from visagist.photos.formats import WRITABLE, WRITABLE_VIDEOS, format_of_bytes
from visagist.photos.provenance import Step
from visagist.version import __version__

CERTIFICATE, KEY = "VISAGIST_C2PA_CERT", "VISAGIST_C2PA_KEY"
TYPES = {suffix: row.mime for suffix, row in WRITABLE.items()} | {
    suffix: row.mime for suffix, row in WRITABLE_VIDEOS.items() if row.boxed
}
_PARENT = "before"
# A thumbnail would show the face as it was, and be larger than many a picture.
_PLAIN = {"builder": {"thumbnail": {"enabled": False}}}
_GENERATOR = {"name": "visagist", "version": __version__}


@dataclass(frozen=True)
class Signing:
    """A chain of certificates and the private key of the first, both PEM."""

    certificates: str
    key: str

    def sign(self, data: bytes, suffix: str, step: Step, before: bytes | None = None) -> bytes:
        """The file with a signed manifest: what the step did and, as its parent, the file as it was `before`.

        VisagistError for a format that cannot hold one, and where the key does not fit the certificate.
        """
        kind = TYPES.get(suffix.lower())
        if kind is None:
            raise VisagistError(f"{suffix} holds no content credentials: write {', '.join(TYPES)}, or leave --c2pa-cert out")
        c2pa, made = _import_c2pa(), io.BytesIO()
        try:
            with (
                c2pa.Context(c2pa.Settings.from_dict(_PLAIN)) as context,
                c2pa.Signer.from_info(self._signer_info(c2pa)) as signer,
                c2pa.Builder(_make_manifest(step, kind, before), context) as builder,
            ):
                if before is not None:
                    parent = json_text({"title": "the photograph before", "relationship": "parentOf", "label": _PARENT})
                    builder.add_ingredient(parent, _mime_of(before) or kind, io.BytesIO(before))
                builder.sign(signer, kind, io.BytesIO(data), made)
        except c2pa.C2paError as error:
            store = " ".join(str(error).split())
            raise VisagistError(f"cannot sign content credentials: {store}; check certificate and key") from error
        return made.getvalue()

    def _signer_info(self, c2pa: Any) -> Any:
        """What the library signs with; without a time stamp, which would ask a server."""
        return c2pa.C2paSignerInfo(self._algorithm(), self.certificates.encode(), self.key.encode(), None)

    def _algorithm(self) -> bytes:
        """The name of the signature that this key makes, as C2PA calls it."""
        serialization = importlib.import_module("cryptography.hazmat.primitives.serialization")
        try:
            key = serialization.load_pem_private_key(self.key.encode(), None)
        except (ValueError, TypeError) as error:
            raise VisagistError(f"the C2PA key cannot be used: {' '.join(str(error).split())}; give a PEM file") from error
        curve = getattr(getattr(key, "curve", None), "key_size", None)
        algorithm = {256: b"es256", 384: b"es384", 521: b"es512"}.get(curve or 0)
        if algorithm is None and type(key).__name__.startswith("Ed25519"):
            algorithm = b"ed25519"
        if algorithm is None and hasattr(key, "private_numbers") and curve is None:
            algorithm = b"ps256"
        if algorithm is None:
            raise VisagistError("the C2PA key is of a kind that does not sign: give an EC, RSA or Ed25519 key")
        return algorithm


def signing(certificate: Path | None = None, key: Path | None = None) -> Signing | None:
    """What to sign with: these files or those that $VISAGIST_C2PA_CERT and $VISAGIST_C2PA_KEY name; None for neither."""
    named = [str(p) if p else os.environ.get(v) for p, v in ((certificate, CERTIFICATE), (key, KEY))]
    if not any(named):
        return None
    if not all(named):
        raise VisagistError("content credentials need a certificate and its key: give --c2pa-cert and --c2pa-key")
    _import_c2pa()
    texts = []
    for path in (Path(name or "").expanduser() for name in named):
        try:
            texts.append(read_regular(path, PEM_BYTES).decode("ascii"))
        except (OSError, ValueError) as error:
            raise VisagistError(f"cannot read {path} as a PEM file: {error}; check the path") from error
    return Signing(*texts)


@dataclass(frozen=True)
class _Assertion(Open):
    label: str = ""
    data: Any = None


@dataclass(frozen=True)
class _Claim(Open):
    assertions: tuple[_Assertion, ...] = ()
    signature_info: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class _Credentials(Open):
    """What c2pa tells of a picture, whoever wrote it."""

    manifests: Mapping[str, _Claim]
    active_manifest: str | None = None


def read_credentials(data: bytes, suffix: str) -> dict[str, Any] | None:
    """What a file's content credentials say, and whether they hold; None without any, or without the library."""
    kind = _mime_of(data) or TYPES.get(suffix.lower())
    try:
        c2pa = _import_c2pa()
    except VisagistError:
        return None
    if kind is None:
        return None
    try:
        with c2pa.Reader(kind, io.BytesIO(data)) as reader:
            store = parse_json(reader.json(), _Credentials, "the content credentials", "save the picture without them")
            state = reader.get_validation_state()
    except (c2pa.C2paError, VisagistError):
        return None  # none there, or damaged beyond reading
    active = store.manifests.get(store.active_manifest or "", _Claim())
    actions = [
        action.get("action") if isinstance(action, Mapping) else None
        for assertion in active.assertions
        if assertion.label.startswith("c2pa.actions") and isinstance(assertion.data, Mapping)
        for action in assertion.data.get("actions") or []
    ]
    issuer = (active.signature_info or {}).get("issuer") or ""
    return {"state": str(state), "issuer": issuer, "actions": actions}


def _make_manifest(step: Step, kind: str, before: bytes | None) -> str:
    first = "c2pa.opened" if before is not None else "c2pa.created"
    source = {"digitalSourceType": step.source_type}
    of_parent = {"parameters": {"ingredientIds": [_PARENT]}}
    actions: list[dict[str, Any]] = [{"action": first, **(source if before is None else of_parent)}]
    if before is not None:
        actions.append({"action": "c2pa.edited", "description": step.note, "softwareAgent": _GENERATOR, **source})
    return json_text(
        {
            "claim_generator_info": [_GENERATOR],
            "title": step.note,
            "format": kind,
            "assertions": [{"label": "c2pa.actions.v2", "data": {"actions": actions}}],
        }
    )


def _mime_of(data: bytes) -> str | None:
    """The type of a picture by its first bytes; None where no picture is written so."""
    row = format_of_bytes(data)
    return row.mime if row is not None and row.writable else None


def _import_c2pa() -> Any:
    try:
        return importlib.import_module("c2pa")
    except (ImportError, OSError) as error:
        raise VisagistError("content credentials need c2pa-python: pip install visagist[c2pa]") from error
