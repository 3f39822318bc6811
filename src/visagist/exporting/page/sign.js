// What every picture says of itself, in XMP: that it was edited, by which model, and how.

import { checksum } from "./checksum.js";

const join = (...parts) => new Blob(parts).arrayBuffer().then((buffer) => new Uint8Array(buffer));

async function intoPng(bytes, xmp) {
  const text = new TextEncoder();
  const body = await join(text.encode("iTXtXML:com.adobe.xmp\0\0\0\0\0"), xmp);
  const ends = new DataView(new ArrayBuffer(8));
  ends.setUint32(0, body.length - 4);
  ends.setUint32(4, checksum(body));
  const header = 8 + 25; // the signature and IHDR
  const [length, sum] = [new Uint8Array(ends.buffer, 0, 4), new Uint8Array(ends.buffer, 4, 4)];
  return join(bytes.subarray(0, header), length, body, sum, bytes.subarray(header));
}

async function intoJpeg(bytes, xmp) {
  const body = await join(new TextEncoder().encode("http://ns.adobe.com/xap/1.0/\0"), xmp);
  const length = body.length + 2;
  return join(bytes.subarray(0, 2), new Uint8Array([0xff, 0xe1, length >> 8, length & 0xff]), body, bytes.subarray(2));
}

const escaped = (text) => text.replaceAll("&", "&amp;").replaceAll('"', "&quot;").replaceAll("<", "&lt;");

// The file of a canvas with the packet of site.json in it, filled with what was done.
export async function signedFile(canvas, type, packet, facts) {
  const blob = await new Promise((resolve) => { canvas.toBlob(resolve, type, 0.95); });
  if (!blob) throw new Error("this browser cannot write a picture of that size");
  const filled = Object.entries(facts).reduce((text, [key, value]) => text.replace(`{${key}}`, escaped(value)), packet);
  const [bytes, xmp] = [new Uint8Array(await blob.arrayBuffer()), new TextEncoder().encode(filled)];
  const signed = type === "image/png" ? await intoPng(bytes, xmp) : await intoJpeg(bytes, xmp);
  return new Blob([signed], { type });
}
