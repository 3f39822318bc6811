// Similarity transforms of the plane, faces aligned by them, and squares cut out of photographs.
// A transform is two rows [a, b, c]; points are [x, y], whole numbers being pixel centers.

import { clamp, crop, reduce, resize, roundEven, sample } from "./pixels.js";

export const apply = ([[a, b, c], [d, e, f]], [x, y]) => [a * x + b * y + c, d * x + e * y + f];

export const scaleOf = (matrix) => Math.hypot(matrix[0][0], matrix[1][0]);

export function invert([[a, b, c], [d, e, f]]) {
  const det = a * e - b * d;
  const [p, q, r, s] = [e / det, -b / det, -d / det, a / det];
  return [[p, q, -(p * c + q * f)], [r, s, -(r * c + s * f)]];
}

// The transform that applies `first`, then `second`.
export function compose(first, second) {
  const row = ([a, b]) => [a * first[0][0] + b * first[1][0], a * first[0][1] + b * first[1][1]];
  const shift = apply(second, [first[0][2], first[1][2]]);
  return [[...row(second[0]), shift[0]], [...row(second[1]), shift[1]]];
}

// From the pixels of a picture scaled by `ratio` to those of the picture itself.
export const unscale = (ratio) => [[1 / ratio, 0, 0.5 / ratio - 0.5], [0, 1 / ratio, 0.5 / ratio - 0.5]];

export function middle(points) {
  const sum = points.reduce(([x, y], [u, v]) => [x + u, y + v], [0, 0]);
  return sum.map((value) => value / points.length);
}

// The similarity that takes points nearest to a target (Umeyama, 1991).
export function similarity(points, target) {
  const p = middle(points), q = middle(target);
  let spread = 0, along = 0, across = 0;
  points.forEach(([x, y], i) => {
    const a = [x - p[0], y - p[1]], b = [target[i][0] - q[0], target[i][1] - q[1]];
    spread += a[0] ** 2 + a[1] ** 2;
    along += a[0] * b[0] + a[1] * b[1];
    across += a[0] * b[1] - a[1] * b[0];
  });
  const [c, s] = spread > 0 ? [along / spread, across / spread] : [0, 0];
  return [[c, -s, q[0] - c * p[0] + s * p[1]], [s, c, q[1] - s * p[0] - c * p[1]]];
}

const distance = (a, b) => Math.hypot(a[0] - b[0], a[1] - b[1]);

export const betweenEyes = (points) => distance(points[0], points[1]);

// The distance of the eyes if the face were frontal, from all five points.
export function faceScale(points, spread) {
  const center = middle(points);
  const mean = points.reduce((sum, point) => sum + distance(point, center) ** 2, 0) / points.length;
  return Math.sqrt(mean) / spread;
}

// Radians by which a face is tilted.
export function roll(points) {
  const across = [points[1][0] - points[0][0], points[1][1] - points[0][1]];
  const eyes = middle(points.slice(0, 2)), mouth = middle(points.slice(3));
  const down = [mouth[0] - eyes[0], mouth[1] - eyes[1]];
  return Math.atan2(across[1] - down[0], across[0] + down[1]);
}

// Degrees by which a face is turned sideways; `fit` [3, 5] is the inverse of a generic head.
export function yaw(points, fit) {
  const center = middle(points);
  const rows = [0, 1].map((axis) => {
    const row = fit.map((weights) => weights.reduce((sum, weight, i) => sum + weight * (points[i][axis] - center[axis]), 0));
    const length = Math.hypot(...row);
    return row.map((value) => value / length);
  });
  const third = rows[0][1] * rows[1][2] - rows[0][2] * rows[1][1];
  return (180 / Math.PI) * Math.atan2(-third, Math.hypot(rows[0][0], rows[1][0]));
}

// From the pixels of a square of `side` pixels to those of a box in the photograph.
export function square(center, width, radians, side) {
  const step = Math.max(width, 1) / side, c = step * Math.cos(radians), s = step * Math.sin(radians), o = (side - 1) / 2;
  return [[c, -s, center[0] - (c - s) * o], [s, c, center[1] - (s + c) * o]];
}

// The square whose pixel p shows the photograph at `matrix` p, antialiased.
export function warp(photo, matrix, side) {
  const fine = scaleOf(matrix) > 1 ? 2 : 1, finer = compose(unscale(fine), matrix), shrink = Math.max(scaleOf(finer), 1);
  const { low, part } = partUnder(photo, finer, fine * side, 2);
  if (shrink === 1) return broughtTo(side, sampleSquare(part, compose(finer, into(low, [1, 1])), fine * side));
  const [width, height] = [part.width, part.height].map((length) => Math.max(roundEven(length / shrink), 1));
  const ratio = [width / part.width, height / part.height];
  return broughtTo(side, sampleSquare(resize(part, width, height, "lanczos"), compose(finer, into(low, ratio)), fine * side));
}

// As `warp`, reduced by means of whole pixels and sampled linearly, for networks that only read.
export function warpRoughly(photo, matrix, side) {
  const whole = Math.max(Math.trunc(scaleOf(matrix)), 1);
  const { low, part } = partUnder(photo, matrix, side, 2 * whole);
  const inside = compose(matrix, into(low, [1 / whole, 1 / whole]));
  return (scaleOf(matrix) > 1 ? sampleLinearly : sampleSquare)(reduce(part, whole), inside, side);
}

// What of a photograph a square of `size` pixels shows, with a margin, and where that begins.
function partUnder(photo, matrix, size, margin) {
  const corners = [[0, 0], [size - 1, 0], [0, size - 1], [size - 1, size - 1]].map((point) => apply(matrix, point));
  const ends = [photo.width, photo.height], of = (choose, i) => choose(...corners.map((p) => p[i]));
  const low = [0, 1].map((i) => clamp(Math.floor(of(Math.min, i)) - margin, 0, ends[i] - 1));
  const high = [0, 1].map((i) => Math.max(clamp(Math.ceil(of(Math.max, i)) + 1 + margin, 1, ends[i]), low[i] + 1));
  return { low, part: crop(photo, low[0], low[1], high[0], high[1]) };
}

// From the pixels of a photograph to those of its part that begins at `low`, scaled across and down by a ratio.
const into = (low, ratio) => [
  [ratio[0], 0, (0.5 - low[0]) * ratio[0] - 0.5], [0, ratio[1], (0.5 - low[1]) * ratio[1] - 0.5],
];

// The square of `size` pixels whose pixel p shows the part at `matrix` p.
function sampleSquare(part, matrix, size) {
  const values = sample(planesOf(part), 3, part.width, part.height, matrix, [0, 0, size, size]);
  const data = new Uint8Array(3 * size * size);
  for (let i = 0; i < size * size; i += 1) {
    for (let c = 0; c < 3; c += 1) data[3 * i + c] = clamp(roundEven(values[c * size * size + i]), 0, 255);
  }
  return { width: size, height: size, data };
}

// As `sampleSquare`, bilinear; values are cut off, not rounded.
function sampleLinearly({ width, height, data }, [[a, b, c], [d, e, f]], size) {
  const out = new Uint8Array(3 * size * size);
  for (let v = 0, o = 0; v < size; v += 1) {
    for (let u = 0; u < size; u += 1) {
      const x = a * u + b * v + c, y = d * u + e * v + f, x0 = Math.floor(x), y0 = Math.floor(y), s = x - x0, t = y - y0;
      const left = clamp(x0, 0, width - 1) * 3, right = clamp(x0 + 1, 0, width - 1) * 3;
      const upper = clamp(y0, 0, height - 1) * width * 3, lower = clamp(y0 + 1, 0, height - 1) * width * 3;
      for (let i = 0; i < 3; i += 1, o += 1) {
        const above = data[upper + left + i] + s * (data[upper + right + i] - data[upper + left + i]);
        const below = data[lower + left + i] + s * (data[lower + right + i] - data[lower + left + i]);
        out[o] = Math.trunc(above + t * (below - above));
      }
    }
  }
  return { width: size, height: size, data: out };
}

const broughtTo = (side, square) => (square.width === side ? square : resize(square, side, side, "lanczos"));

function planesOf({ width, height, data }) {
  const area = width * height, planes = new Float32Array(3 * area);
  for (let i = 0; i < area; i += 1) {
    for (let c = 0; c < 3; c += 1) planes[c * area + i] = data[3 * i + c];
  }
  return planes;
}
