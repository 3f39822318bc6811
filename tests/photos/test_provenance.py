"""What a file says of itself: read back, kept over many edits, beside what it said before, and signed where one can."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest
from photo_seeds import encoded, portrait, seeds

from visagist.errors import VisagistError
from visagist.photos.content_credentials import Signing, read_credentials, signing
from visagist.photos.encode import encode_photo, write_picture
from visagist.photos.photo import read_photo
from visagist.photos.provenance import EDITED, GENERATED, XMP_BOX, Step, add_step, is_readable, read_xmp
from visagist.photos.provenance_reading import read_provenance, video_xmp

STEP = Step("edited", "tiny", "abc", "Smiling=1", "detail", "1")
CAMERA = b"""<?xpacket begin='' id='W5M0MpCehiHzreSzNTczkc9d'?>
<x:xmpmeta xmlns:x='adobe:ns:meta/'><rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'>
<rdf:Description rdf:about='' xmlns:dc='http://purl.org/dc/elements/1.1/'
 xmlns:Iptc4xmpExt='http://iptc.org/std/Iptc4xmpExt/2008-02-29/'
 xmlns:hdrgm='http://ns.adobe.com/hdr-gain-map/1.0/' hdrgm:Version='1.0'
 Iptc4xmpExt:DigitalSourceType='http://cv.iptc.org/newscodes/digitalsourcetype/digitalCapture'>
<dc:title>A &amp; B</dc:title></rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end='w'?>   """


def test_what_was_said_before_stays_but_for_what_is_no_longer_true() -> None:
    said = add_step(CAMERA, STEP).decode()
    assert "<dc:title>A &amp; B</dc:title>" in said
    assert "digitalCapture" not in said
    assert "hdrgm:Version" not in said
    assert said.count("DigitalSourceType") == 1
    assert read_xmp(said.encode()).steps == (STEP,)
    assert "A &amp; B" not in add_step(CAMERA, STEP, only_history=True).decode()


def test_steps_are_added_and_a_generated_picture_stays_generated() -> None:
    first = add_step(b"", Step("generated", "toy"))
    assert read_xmp(first).source_type == GENERATED
    second = read_xmp(add_step(first, STEP))
    assert (second.source_type, [step.action for step in second.steps]) == (GENERATED, ["generated", "edited"])
    assert read_xmp(add_step(add_step(b"", STEP), STEP, only_history=True)).steps == (STEP, STEP)


@pytest.mark.parametrize(
    "damaged", [b"", b"<x", b"\xff\xfe\0", b"<a/>", CAMERA.replace(b"<x:xmp", b"<!DOCTYPE a [<!ENTITY b 'c'>]><x:xmp", 1)]
)
def test_damaged_xmp_is_replaced_and_entities_are_not_expanded(damaged: bytes) -> None:
    assert not is_readable(damaged)
    assert read_xmp(add_step(damaged, STEP)).steps == (STEP,)


def test_a_name_that_xml_cannot_hold_does_not_break_the_account() -> None:
    strange = Step("edited", 'a\x00b<&>"\ud800', settings="]]>")
    assert read_xmp(add_step(b"", strange)).steps[0].model == 'a b<&>"'


def test_notes_are_lines_for_a_person() -> None:
    assert STEP.note == "edited with visagist, tiny: Smiling=1"
    assert Step("generated", "toy").note == "generated with visagist, toy"
    assert Step("edited", settings="x").note == "edited with visagist: x"


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif", ".gif", ".avif", ".heic"])
def test_every_picture_that_is_written_says_what_it_is(suffix: str, tmp_path: Path) -> None:
    for action, kind in (("edited", EDITED), ("generated", GENERATED)):
        step = Step(action, "toy", "abc", "Smiling=1")
        write_picture(portrait(), tmp_path / f"a{suffix}", step)
        found = read_provenance(tmp_path / f"a{suffix}")
        assert (found.source_type, found.steps, found.known) == (kind, (step,), True)
        assert step.note in found.software


def test_a_photograph_says_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(encoded(portrait(), "JPEG"))
    assert not read_provenance(tmp_path / "a.jpg").known


@pytest.fixture(scope="module")
def signer() -> Signing:
    """A certificate of a maker of our own, which nobody else trusts."""
    x509 = pytest.importorskip("cryptography.x509")
    pytest.importorskip("c2pa")
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
    names = [
        x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, n), x509.NameAttribute(NameOID.COMMON_NAME, n)])
        for n in ("Test root", "Test signer")
    ]
    start = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)

    def certificate(of: int) -> bytes:
        public, is_root = keys[of].public_key(), of == 0
        others = ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement")
        use = dict.fromkeys((*others, "encipher_only", "decipher_only"), False)
        made = x509.CertificateBuilder(names[0], names[of], public, x509.random_serial_number())
        made = made.not_valid_before(start).not_valid_after(start + datetime.timedelta(days=30))
        made = made.add_extension(x509.BasicConstraints(is_root, None), True)
        made = made.add_extension(x509.SubjectKeyIdentifier.from_public_key(public), False)
        made = made.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(keys[0].public_key()), False)
        usage = x509.KeyUsage(digital_signature=not is_root, key_cert_sign=is_root, crl_sign=is_root, **use)
        made = made.add_extension(usage, True)
        if not is_root:
            made = made.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), True)
        return made.sign(keys[0], hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    plain = serialization.NoEncryption()
    key = keys[1].private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    return Signing((certificate(1) + certificate(0)).decode(), key.decode())


@pytest.mark.parametrize("name", ["jpeg", "png", "webp", "tiff", "gif", "avif", "heic"])
def test_content_credentials_are_signed_and_break_with_the_picture(name: str, signer: Signing) -> None:
    data, suffix = seeds()[name]
    made = encode_photo(read_photo(data), suffix, STEP, signing=signer).data
    said = read_credentials(made, suffix)
    assert said == {"state": "Valid", "issuer": "Test signer", "actions": ["c2pa.opened", "c2pa.edited"]}
    back = read_photo(made)
    assert read_xmp(back.metadata.xmp).steps == (STEP,)
    changed = bytearray(made)
    changed[-40] ^= 0x55
    spoilt = read_credentials(bytes(changed), suffix)
    assert spoilt is None or spoilt["state"] == "Invalid"
    again = encode_photo(back, suffix, STEP).data
    assert read_credentials(again, suffix) is None, "a signature on the former file is not carried on"


def test_what_signs_is_asked_for_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, signer: Signing) -> None:
    assert signing() is None
    (tmp_path / "cert.pem").write_text(signer.certificates)
    (tmp_path / "key.pem").write_text(signer.key)
    with pytest.raises(VisagistError, match="--c2pa-key"):
        signing(tmp_path / "cert.pem")
    with pytest.raises(VisagistError, match="cannot read"):
        signing(tmp_path / "cert.pem", tmp_path / "none.pem")
    monkeypatch.setenv("VISAGIST_C2PA_CERT", str(tmp_path / "cert.pem"))
    monkeypatch.setenv("VISAGIST_C2PA_KEY", str(tmp_path / "key.pem"))
    assert signing() == signer
    with pytest.raises(VisagistError, match="key cannot be used"):
        encode_photo(read_photo(seeds()["png"][0]), ".png", STEP, signing=Signing(signer.certificates, "no key"))


@pytest.mark.parametrize("size", [0, 1, 2, 7, 8, 23, 2**32 - 1])
def test_a_box_of_xmp_that_says_a_wrong_size_says_nothing(size: int, tmp_path: Path) -> None:
    video = tmp_path / "clip.mp4"
    video.write_bytes(size.to_bytes(4, "big") + b"uuid" + XMP_BOX)
    assert video_xmp(video) == b""
