// Everything that computes, beside the page: onnxruntime, the finder, the editor. The photograph stays in this process.

import { Editing, isGrey } from "./editing.js";
import { Finding } from "./finding.js";
import { openGraph, startRuntime } from "./runtime.js";

let facts = null;
let finding = null;
let editing = null;
let photographs = {}; // by size: what is shown, and the whole one

const tasks = {
  // Opens the runtime and all graphs. `say` tells how much has come.
  async start({ by, threads }, say) {
    facts = await (await fetch("site.json")).json();
    const { runtime, report } = await startRuntime(facts.runtime, by, threads, say);
    const open = (part, name) => openGraph(runtime, part, name, "wasm", report);
    const { model, refiner, landmarks, finder } = facts;
    const graphs = { prepare: await open(model, "prepare"), move: await open(model, "move") };
    if (refiner !== null) graphs.repaint = await openPainter(runtime, refiner, by, report);
    const points = await open(landmarks, "landmarks");
    finding = new Finding(facts.finding, points, finder === null ? null : await open(finder, "find"));
    editing = new Editing(facts, graphs);
    return { facts, by: runtime.by, threads: runtime.threads };
  },

  // Takes a photograph: `shown` { width, height, data } as it is on the page, `whole` the same or a larger one.
  async open({ shown, whole }) {
    const take = (photo, key) => ({ ...photo, key, grey: isGrey(photo, facts.grey.tint) });
    photographs = { shown: take(shown, "shown") };
    photographs.whole = whole === null ? photographs.shown : take(whole, "whole");
    editing.forget();
    return finding.finder === null ? null : finding.find(photographs.whole);
  },

  findIn({ box }) {
    return finding.findIn(photographs.whole, box);
  },

  // The edited pixels of the boxes that change, RGBA.
  async edit({ size, faces, strengths }) {
    const photo = photographs[size], ratio = photo.width / photographs.whole.width;
    const scaled = faces.map((face) => ({ ...face, points: face.points.map((point) => point.map((v) => (v + 0.5) * ratio - 0.5)) }));
    const started = performance.now();
    const { data, boxes } = await editing.edit(photo, scaled, strengths);
    return { parts: boxes.map((box) => ({ box, data: cut(photo, data, box) })), milliseconds: performance.now() - started };
  },
};

// The refiner is most of the work and alone goes to WebGPU, whose kernels do not run every small graph. It is tried once.
async function openPainter(runtime, refiner, by, report) {
  if (runtime.by === "webgpu") {
    try {
      const graph = await openGraph(runtime, refiner, "repaint", "webgpu", report);
      const { side, attributes } = refiner, face = [new Float32Array(3 * side * side), [1, 3, side, side]];
      const code = [Float32Array.from({ length: 2 * attributes.length }, (_, i) => (i === 0 ? 1 : 0)), [1, 2 * attributes.length]];
      await graph.run({ images: face, edited: face, rebuilt: face, code });
      return graph;
    } catch (error) {
      if (by === "webgpu") throw error;
      runtime.by = "wasm"; // as the page then says
    }
  }
  return openGraph(runtime, refiner, "repaint", "wasm", report);
}

function cut({ width }, data, [left, top, right, bottom]) {
  const out = new Uint8ClampedArray(4 * (right - left) * (bottom - top));
  for (let y = top, o = 0; y < bottom; y += 1) {
    for (let i = 3 * (y * width + left), end = 3 * (y * width + right); i < end; i += 3, o += 4) {
      out[o] = data[i];
      out[o + 1] = data[i + 1];
      out[o + 2] = data[i + 2];
      out[o + 3] = 255;
    }
  }
  return out;
}

let last = Promise.resolve();
self.addEventListener("message", ({ data: { id, task, given } }) => {
  const say = (told) => self.postMessage({ id, told });
  last = last.then(() => tasks[task](given, say)).then(
    (result) => self.postMessage({ id, result }),
    (error) => self.postMessage({ id, error: String(error?.message ?? error) }),
  );
});
