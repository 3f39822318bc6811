// Edits of faces in a photograph: align, move and decode, paint anew, and lay the change back inside a feathered mask.

import { apply, invert, scaleOf, similarity, warp } from "./geometry.js";
import { bring, clamp, mirror, sample, toFloats } from "./pixels.js";

const fade = (way) => {
  const near = clamp(way, 0, 1);
  return near * near * (3 - 2 * near);
};

export class Editing {
  // `facts` are those of site.json; `graphs` has prepare, move and, where there is a refiner, repaint.
  constructor(facts, graphs) {
    this.facts = facts;
    this.graphs = graphs;
    this.model = facts.model;
    this.refiner = facts.refiner;
    this.squares = new Map();
  }

  // Forget what is known of the photograph before.
  forget() {
    this.squares.clear();
  }

  // The boxes of a photograph that an edit changes, with their new pixels (RGB), by strengths of each face.
  // What the refiner knows is painted; the rest is added afterwards, as a change of the model's pixels.
  async edit(photo, faces, strengths) {
    const painted = (name) => this.refiner !== null && this.refiner.attributes.includes(name);
    const data = new Uint8ClampedArray(photo.data), boxes = []; // which rounds as Python does
    let fresh = true; // nothing of the photograph has changed yet
    for (const paints of [true, false]) {
      const own = faces.map((_, i) => this.model.attributes
        .filter((name) => strengths[i]?.[name] && painted(name) === paints).map((name) => [name, strengths[i][name]]));
      if (own.every((set) => !set.length)) continue;
      const before = fresh ? photo : { ...photo, data: data.slice() };
      for (const [i, set] of own.entries()) {
        if (!set.length) continue;
        const change = await this.changeOf(before, faces, i, set, paints, fresh);
        lay(data, photo, change);
        boxes.push(change.box);
      }
      fresh = false;
    }
    return { data, boxes };
  }

  // What an edit adds to the photograph: { box, detail [3, h, w] }, the mask being in it.
  async changeOf(photo, faces, index, set, paints, fresh) {
    const own = paints ? this.refiner : this.model;
    const place = this.placeOf(photo, faces, index, own, fresh);
    const { side, matrix, box, mask, square } = place;
    const brought = paints ? await this.paint(place, set) : await this.move(place, set);
    const fades = paints && scaleOf(matrix) < 1, area = mask.length;
    const detail = sample(brought, fades ? 4 : 3, side, side, matrix, box, mask);
    const fading = fades ? detail.subarray(3 * area) : null;
    if (fades) place.seen ??= sample(square, 3, side, side, matrix, box, mask);
    const [left, top, right, bottom] = box, { seen } = place, { data } = photo;
    for (let y = top, o = 0; y < bottom; y += 1) {
      for (let x = left, pixel = 3 * (y * photo.width + left); x < right; x += 1, o += 1, pixel += 3) {
        if (mask[o] === 0) continue;
        const faded = fades ? clamp(fading[o], 0, 1) : 0;
        for (let c = 0, at = o; c < 3; c += 1, at += area) {
          const value = fades ? detail[at] - (data[pixel + c] / 255 - seen[at]) * faded : detail[at];
          detail[at] = value * mask[o];
        }
      }
    }
    if (photo.grey) greyen(detail, area, this.facts.grey.weights);
    return { box, detail };
  }

  // Where a face lies in the photograph and in a square of this side. What the first edit needs is kept.
  placeOf(photo, faces, index, { side, template }, fresh) {
    const key = `${photo.key} ${index} ${side} ${faces.length}`;
    if (fresh && this.squares.has(key)) return this.squares.get(key);
    const matrices = faces.map((face) => similarity(face.points, template));
    const matrix = matrices[index], box = boxOf(matrix, side, photo);
    const others = matrices.filter((other, i) => i !== index && overlap(box, boxOf(other, side, photo)));
    const place = {
      side, matrix, box, mask: this.maskOf(matrix, side, box, others),
      square: toFloats(warp(photo, invert(matrix), side)), kept: {}, chain: [],
    };
    if (fresh) this.squares.set(key, place);
    return place;
  }

  maskOf(matrix, side, box, others) {
    const { corners, feather, border } = this.facts.mask;
    const ways = [matrix, ...others].map((own) => wayOut(own, side, corners));
    const [left, top, right, bottom] = box, mask = new Float32Array((right - left) * (bottom - top));
    for (let y = top, o = 0; y < bottom; y += 1) {
      for (let x = left; x < right; x += 1, o += 1) {
        const far = ways[0](x, y);
        let weight = fade((1 - far) / feather);
        for (let k = 1; k < ways.length && weight > 0; k += 1) weight *= fade((ways[k](x, y) - far) / border);
        mask[o] = weight;
      }
    }
    return mask;
  }

  // A square [3, S, S] of the model's side, edited. `kept` holds what all edits of it share, and it rebuilt.
  async decode(square, set, kept) {
    const { side, attributes, strength } = this.model, number = attributes.length;
    kept.shared ??= await this.graphs.prepare.run({ images: [square, [1, 3, side, side]] });
    const count = kept.rebuilt ? 1 : 2; // the second is the reconstruction
    const target = new Float32Array(count * number), amount = new Float32Array(count * number);
    for (const [name, value] of set) {
      const column = attributes.indexOf(name);
      target[column] = value > 0 ? 1 : 0;
      amount[column] = interpolate(strength[name][value > 0 ? "+1" : "-1"], Math.abs(value));
    }
    const feeds = { target: [target, [count, number]], amount: [amount, [count, number]] };
    for (const [name, { data, dims }] of Object.entries(kept.shared)) {
      const each = new Float32Array(count * data.length);
      for (let i = 0; i < count; i += 1) each.set(data, i * data.length);
      feeds[name] = [each, [count, ...dims.slice(1)]];
    }
    const { images } = await this.graphs.move.run(feeds), size = 3 * side * side;
    kept.rebuilt ??= images.data.slice(size);
    return images.data.subarray(0, size);
  }

  async move({ square, kept }, set) {
    const edited = await this.decode(square, set, kept);
    return edited.map((value, i) => value - kept.rebuilt[i]);
  }

  // What painting brings to a square, and below it how far that hides the photograph's own texture, [4, S, S].
  // Steps that are the same as the last time are not done again.
  async paint(place, set) {
    const { side, square, chain } = place, area = side * side;
    if (place.mirrored === undefined) {
      place.mirrored = lighterRight(square, side);
      place.start = place.mirrored ? mirror(square, side) : square;
    }
    let x = place.start;
    for (const [step, [name, value]] of set.entries()) {
      const known = chain[step]?.x === x ? chain[step] : { x, kept: {}, small: bring(x, side, this.model.side) };
      if (known.value !== value || known.name !== name) {
        const edited = await this.decode(known.small, [[name, value]], known.kept);
        known.rebuilt ??= bring(known.kept.rebuilt, this.model.side, side);
        Object.assign(known, { name, value, painted: await this.repaint(x, name, value, edited, known.rebuilt) });
      }
      chain[step] = known;
      x = known.painted;
    }
    const back = place.mirrored ? mirror(x, side) : x;
    const brought = new Float32Array(4 * area);
    for (let i = 0; i < 3 * area; i += 1) brought[i] = back[i] - square[i];
    brought.set(hiding(brought, side, area, this.facts.repainted), 3 * area);
    return brought;
  }

  async repaint(x, name, value, edited, rebuilt) {
    const { side, attributes } = this.refiner, own = this.model.side, shape = [1, 3, side, side];
    const code = new Float32Array(2 * attributes.length);
    code[2 * attributes.indexOf(name) + (value > 0 ? 1 : 0)] = 1;
    const { painted } = await this.graphs.repaint.run({
      images: [x, shape], edited: [bring(edited, own, side), shape], rebuilt: [rebuilt, shape],
      code: [code, [1, code.length]],
    });
    const share = Math.min(1, Math.abs(value) / this.facts.wholly_painted);
    if (share === 1) return painted.data;
    const blended = new Float32Array(x.length);
    for (let i = 0; i < x.length; i += 1) blended[i] = x[i] + share * (painted.data[i] - x[i]);
    return blended;
  }
}

function interpolate(knots, at) {
  const next = Math.max(knots.findIndex(([strength]) => strength >= at), 1);
  const [[s0, a0], [s1, a1]] = [knots[next - 1], knots[next]];
  return a0 + ((a1 - a0) * (at - s0)) / (s1 - s0);
}

function lighterRight(square, side) {
  let sum = 0;
  for (let i = 0; i < square.length; i += 1) sum += square[i] * ((2 * (i % side)) / (side - 1) - 1);
  return sum < 0;
}

// Where painting changes so much that nothing of the old texture is left: means of squares of five pixels.
function hiding(brought, side, area, repainted) {
  const most = new Float32Array(area), amount = new Float32Array(area);
  for (let i = 0; i < area; i += 1) {
    most[i] = Math.max(Math.abs(brought[i]), Math.abs(brought[area + i]), Math.abs(brought[2 * area + i]));
  }
  const rows = new Float32Array(area);
  for (let y = 0; y < side; y += 1) {
    for (let x = 0; x < side; x += 1) {
      let sum = 0;
      for (let u = Math.max(x - 2, 0); u <= Math.min(x + 2, side - 1); u += 1) sum += most[y * side + u];
      rows[y * side + x] = sum;
    }
  }
  for (let y = 0; y < side; y += 1) {
    for (let x = 0; x < side; x += 1) {
      let sum = 0;
      for (let v = Math.max(y - 2, 0); v <= Math.min(y + 2, side - 1); v += 1) sum += rows[v * side + x];
      amount[y * side + x] = clamp(sum / 25 / repainted, 0, 1);
    }
  }
  return amount;
}

function boxOf(matrix, side, photo) {
  const back = invert(matrix), [low, high] = [-0.5, side - 0.5];
  const corners = [[low, low], [high, low], [high, high], [low, high]].map((point) => apply(back, point));
  const [xs, ys] = [0, 1].map((i) => corners.map((corner) => corner[i]));
  const left = Math.max(Math.floor(Math.min(...xs)), 0), top = Math.max(Math.floor(Math.min(...ys)), 0);
  const right = Math.min(Math.ceil(Math.max(...xs)) + 1, photo.width);
  const bottom = Math.min(Math.ceil(Math.max(...ys)) + 1, photo.height);
  return [
    Math.min(left, photo.width - 1), Math.min(top, photo.height - 1), Math.max(right, left + 1), Math.max(bottom, top + 1),
  ];
}

const overlap = (a, b) => a[0] < b[2] && b[0] < a[2] && a[1] < b[3] && b[1] < a[3];

// How far a pixel lies on the way from the middle of the model's square, 0, to its edge, 1.
function wayOut([[a, b, c], [d, e, f]], side, corners) {
  const k = 2 / side, shift = 1 / side - 1;
  return (x, y) => {
    const u = Math.abs(k * (a * x + b * y + c) + shift), v = Math.abs(k * (d * x + e * y + f) + shift);
    return (u ** corners + v ** corners) ** (1 / corners);
  };
}

// Whether sRGB pixels show no colour but for a tint.
export function isGrey({ width, height, data }, tint) {
  const stepX = Math.max(1, Math.floor(width / 256)), stepY = Math.max(1, Math.floor(height / 256)), ranges = [];
  for (let y = 0; y < height; y += stepY) {
    for (let x = 0; x < width; x += stepX) {
      const [r, g, b] = data.subarray(3 * (y * width + x), 3 * (y * width + x) + 3);
      ranges.push(Math.max(r, g, b) - Math.min(r, g, b));
    }
  }
  ranges.sort((p, q) => p - q);
  const at = 0.999 * (ranges.length - 1), low = Math.floor(at), high = Math.ceil(at);
  return ranges[low] + (at - low) * (ranges[high] - ranges[low]) <= tint;
}

function greyen(detail, area, weights) {
  for (let o = 0; o < area; o += 1) {
    const light = weights[0] * detail[o] + weights[1] * detail[area + o] + weights[2] * detail[2 * area + o];
    for (let c = 0; c < 3; c += 1) detail[c * area + o] = light;
  }
}

function lay(data, { width }, { box, detail }) {
  const [left, top, right, bottom] = box, area = (right - left) * (bottom - top);
  for (let y = top, o = 0; y < bottom; y += 1) {
    for (let x = left, i = 3 * (y * width + left); x < right; x += 1, o += 1, i += 3) {
      data[i] += 255 * detail[o];
      data[i + 1] += 255 * detail[area + o];
      data[i + 2] += 255 * detail[2 * area + o];
    }
  }
}
