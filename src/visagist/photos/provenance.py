"""Provenance in XMP: that a picture or video was edited or generated, by which model, and how.

It stands in the file's XMP, beside what the file said before: IPTC's `DigitalSourceType` (IPTC Photo Metadata Standard
2023.1), which others read, and a list of steps in a namespace of our own. No function here writes a file without it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from typing import Any, Protocol
from xml.dom import minidom
from xml.parsers.expat import ExpatError, ParserCreate

from visagist.boundary.ownership import NAMESPACE
from visagist.errors import VisagistError
from visagist.version import __version__

IPTC = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
OWN = NAMESPACE
RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_SOURCES = "http://cv.iptc.org/newscodes/digitalsourcetype/"
EDITED, GENERATED = _SOURCES + "compositeWithTrainedAlgorithmicMedia", _SOURCES + "trainedAlgorithmicMedia"
ARRANGED = _SOURCES + "composite"
XMP_BOX = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
_TIFF = "http://ns.adobe.com/tiff/1.0/"
_XMLNS = "http://www.w3.org/2000/xmlns/"
# Another program's statements on parts of the former file that a written one does not have: gain maps, further pictures.
_STALE = ("http://ns.adobe.com/hdr-gain-map/1.0/", "http://ns.google.com/photos/1.0/container/")
_EMPTY = f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{RDF}"/></x:xmpmeta>'
_BEGIN = '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
_MOST_BYTES = 16 << 20
_MOST_NODES, _MOST_DEPTH = 50_000, 100  # elements and attributes of a packet, and how deep they may lie
MAX_STEPS = 1_000
_CONTROL = re.compile("[\x00-\x1f\x7f\ud800-\udfff\ufffe\uffff]")  # what XML cannot hold; a folder's name can


@dataclass(frozen=True)
class Step:
    """One thing that was done, in words: all but `action` may be empty.

    action    edited, generated, or arranged, which is no more than photos side by side
    model     what it is called; weights is the SHA-256 of its model.safetensors
    settings  attributes and strengths, as in Smiling=1, Eyeglasses=-0.5
    faces     how many faces were edited
    backend   what computed it: torch, or onnxruntime with the precision of its graphs
    """

    action: str
    model: str = ""
    weights: str = ""
    settings: str = ""
    mode: str = ""
    faces: str = ""
    version: str = __version__
    backend: str = ""

    @property
    def note(self) -> str:
        """A line for a person, as in EXIF's Software."""
        made = f"{self.action} with visagist"
        return ": ".join(part for part in (f"{made}, {self.model}" if self.model else made, self.settings) if part)

    @property
    def source_type(self) -> str:
        return {"generated": GENERATED, "arranged": ARRANGED}.get(self.action, EDITED)


@dataclass(frozen=True)
class Provenance:
    """What a file says of how it came to be; `steps` are visagist's, oldest first."""

    source_type: str = ""
    steps: tuple[Step, ...] = ()
    software: str = ""
    credentials: dict[str, Any] | None = field(default=None)

    @property
    def known(self) -> bool:
        """Whether it says anything that an editor or generator would."""
        return bool(self.steps or self.source_type or "visagist" in self.software or self.credentials)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


class StepMaker(Protocol):
    """A model that did something; an `Editor` is one. `description` is its `config.json`, `runner` what computed."""

    name: str

    @property
    def description(self) -> Mapping[str, Any]: ...
    @property
    def runner(self) -> str: ...


def make_step(action: str, editor: StepMaker, settings: str) -> Step:
    """What a model did."""
    weights = editor.description.get("weights_sha256")
    return Step(action, editor.name, weights if isinstance(weights, str) else "", settings, backend=editor.runner)


def make_edit_step(
    editor: StepMaker, strengths: Mapping[str, float], mode: str, faces: int, more: str = ""
) -> Step:
    """An edit of so many faces with these strengths."""
    settings = ", ".join(f"{name}={value:g}" for name, value in strengths.items()) + more
    return replace(make_step("edited", editor, settings), mode=mode, faces=str(faces))


def add_step(xmp: bytes, step: Step, *, only_history: bool = False) -> bytes:
    """An XMP packet that says all that this one said, or only how it came to be, and the step; what is damaged is replaced.

    A picture that was generated as a whole stays one, whatever is edited in it later.
    """
    return _add_step(xmp, step, only_history) if xmp else _first_step(step)


@lru_cache(maxsize=64)
def _first_step(step: Step) -> bytes:
    """The packet of a picture that said nothing before, as most of many say the same."""
    return _add_step(b"", step, only_history=False)


def _add_step(xmp: bytes, step: Step, only_history: bool) -> bytes:
    document = _parse(xmp) or minidom.parseString(_EMPTY)
    before = _read(document)
    if only_history:
        document = minidom.parseString(_EMPTY)
    root = document.getElementsByTagNameNS(RDF, "RDF")[0]
    for description in list(root.getElementsByTagNameNS(RDF, "Description")):
        _clear(description)
    generated = before.source_type == GENERATED
    _describe(document, root, GENERATED if generated else step.source_type, (*before.steps, step))
    whole = document.documentElement
    assert whole is not None
    return f'{_BEGIN}{whole.toxml()}<?xpacket end="w"?>'.encode()


def read_xmp(xmp: bytes) -> Provenance:
    """What an XMP packet says; nothing where it is none."""
    document = _parse(xmp)
    return Provenance() if document is None else _read(document)


def video_box(xmp: bytes) -> bytes:
    """The box that holds XMP at the end of an MP4 or MOV (XMP specification, part 3, 2.1.4)."""
    return (24 + len(xmp)).to_bytes(4, "big") + b"uuid" + XMP_BOX + xmp


def is_readable(xmp: bytes) -> bool:
    """Whether this packet can be kept when a step is added."""
    return _parse(xmp) is not None


def _parse(xmp: bytes) -> minidom.Document | None:
    """The packet as a document with one rdf:RDF; None for what is damaged, or declares entities, which could be a bomb."""
    text = xmp.strip(b"\0 \t\r\n")
    if not text or len(text) > _MOST_BYTES:
        return None
    try:
        _check_nodes(text)
        document = minidom.parseString(text)
        return document if document.getElementsByTagNameNS(RDF, "RDF") else None
    except (ExpatError, ValueError, LookupError, RecursionError):
        return None


def _check_nodes(text: bytes) -> None:
    """Read a packet without keeping it: ValueError for a document type, VisagistError for more than may be kept."""
    nodes = depth = 0

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal nodes, depth
        nodes, depth = nodes + 1 + len(attributes), depth + 1
        if nodes > _MOST_NODES or depth > _MOST_DEPTH:
            raise VisagistError(
                f"its XMP has more than {_MOST_NODES:,} elements, or {_MOST_DEPTH} in each other: save it without metadata"
            )

    def end(name: str) -> None:
        nonlocal depth
        depth -= 1

    def refuse(*declaration: object) -> None:
        raise ValueError("XMP has no document type")

    parser = ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler, parser.StartDoctypeDeclHandler = start, end, refuse
    parser.Parse(text, True)


def _clear(description: minidom.Element) -> None:
    """Take out what is about to be said anew, and what holds no more."""
    for attribute in _attributes(description):
        if _is_replaced(attribute):
            description.removeAttributeNode(attribute)
    for child in list(description.childNodes):
        if child.nodeType == child.ELEMENT_NODE and _is_replaced(child):
            description.removeChild(child)
    rest = [c for c in description.childNodes if c.nodeType == c.ELEMENT_NODE]
    empty = not rest and all(a.namespaceURI in (RDF, _XMLNS) for a in _attributes(description))
    if empty and description.parentNode:
        description.parentNode.removeChild(description)


def _attributes(element: minidom.Element) -> list[Any]:
    return list(element.attributes.values())


def _is_replaced(node: Any) -> bool:
    source = node.namespaceURI == IPTC and node.localName in ("DigitalSourceType", "DigitalSourceFileType")
    turned = node.namespaceURI == _TIFF and node.localName == "Orientation"  # what is written is upright
    return source or turned or node.namespaceURI == OWN or node.namespaceURI in _STALE


def _describe(document: minidom.Document, root: minidom.Element, source_type: str, steps: tuple[Step, ...]) -> None:
    description = document.createElement("rdf:Description")
    description.setAttribute("rdf:about", _subject_of(root))
    for prefix, namespace in (("rdf", RDF), ("Iptc4xmpExt", IPTC), ("visagist", OWN)):
        description.setAttribute(f"xmlns:{prefix}", namespace)
    description.setAttribute("Iptc4xmpExt:DigitalSourceType", source_type)
    history, sequence = document.createElement("visagist:History"), document.createElement("rdf:Seq")
    for step in steps:
        item = document.createElement("rdf:li")
        item.setAttribute("rdf:parseType", "Resource")
        for name, value in asdict(step).items():
            if value:
                part = document.createElement(f"visagist:{name}")
                part.appendChild(document.createTextNode(_CONTROL.sub(" ", value)))
                item.appendChild(part)
        sequence.appendChild(item)
    history.appendChild(sequence)
    description.appendChild(history)
    root.appendChild(description)


def _subject_of(root: minidom.Element) -> str:
    """All descriptions of a packet are about the same thing, mostly ''."""
    for description in root.getElementsByTagNameNS(RDF, "Description"):
        if description.hasAttributeNS(RDF, "about"):
            return description.getAttributeNS(RDF, "about")
    return ""


def _read(document: minidom.Document) -> Provenance:
    source_type, steps = "", []
    for description in document.getElementsByTagNameNS(RDF, "Description"):
        source_type = description.getAttributeNS(IPTC, "DigitalSourceType") or source_type
    for element in document.getElementsByTagNameNS(IPTC, "DigitalSourceType"):
        source_type = element.getAttributeNS(RDF, "resource") or _text_of(element) or source_type
    for history in document.getElementsByTagNameNS(OWN, "History"):
        for item in history.getElementsByTagNameNS(RDF, "li"):
            values = {
                e.localName: _text_of(e) for e in item.childNodes if e.nodeType == e.ELEMENT_NODE and e.namespaceURI == OWN
            }
            fields = {name: values.get(name, "") for name in Step.__dataclass_fields__}
            steps.append(Step(**fields))
            if len(steps) > MAX_STEPS:
                raise VisagistError(f"its history has more than {MAX_STEPS:,} edits: save it without metadata")
    return Provenance(source_type.strip(), tuple(steps))


def _text_of(element: Any) -> str:
    return "".join(c.data for c in element.childNodes if c.nodeType in (c.TEXT_NODE, c.CDATA_SECTION_NODE)).strip()
