// Pictures resized as Pillow does it, sampled bicubically, and brought to another side as networks take them.
// A picture is { width, height, data }, data being RGB bytes, row by row.

const PRECISION_BITS = 22;

const sinc = (x) => (x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x));
const FILTERS = {
  lanczos: { support: 3, at: (x) => (x > -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0) },
  bilinear: { support: 1, at: (x) => Math.max(0, 1 - Math.abs(x)) },
};

export const roundEven = (x) => {
  const down = Math.floor(x);
  const rest = x - down;
  return rest > 0.5 || (rest === 0.5 && down % 2 !== 0) ? down + 1 : down;
};

export const clamp = (x, low, high) => (x < low ? low : x > high ? high : x);

// What each of `size` new pixels takes of the old ones: the first, and whole-number weights.
function weightsOf(own, size, filter) {
  const scale = own / size;
  const wide = Math.max(scale, 1);
  const support = filter.support * wide;
  const taps = [];
  for (let i = 0; i < size; i += 1) {
    const center = (i + 0.5) * scale;
    const low = Math.max(Math.trunc(center - support + 0.5), 0);
    const high = Math.min(Math.trunc(center + support + 0.5), own);
    const weights = [];
    let sum = 0;
    for (let x = low; x < high; x += 1) {
      const weight = filter.at((x - center + 0.5) / wide);
      weights.push(weight);
      sum += weight;
    }
    const whole = weights.map((weight) => Math.trunc((weight < 0 ? -0.5 : 0.5) + (weight / sum) * (1 << PRECISION_BITS)));
    taps.push({ low, weights: Int32Array.from(whole) });
  }
  return taps;
}

const toByte = (sum) => clamp(sum >> PRECISION_BITS, 0, 255);

export function resize({ width, height, data }, newWidth, newHeight, kind) {
  let pixels = data;
  if (newWidth !== width) {
    const taps = weightsOf(width, newWidth, FILTERS[kind]);
    const out = new Uint8Array(newWidth * height * 3);
    for (let y = 0, o = 0; y < height; y += 1) {
      for (let x = 0; x < newWidth; x += 1, o += 3) {
        const { low, weights } = taps[x];
        let r = 1 << (PRECISION_BITS - 1), g = r, b = r;
        for (let k = 0, i = (y * width + low) * 3; k < weights.length; k += 1, i += 3) {
          r += pixels[i] * weights[k];
          g += pixels[i + 1] * weights[k];
          b += pixels[i + 2] * weights[k];
        }
        out[o] = toByte(r);
        out[o + 1] = toByte(g);
        out[o + 2] = toByte(b);
      }
    }
    pixels = out;
  }
  if (newHeight !== height) {
    const taps = weightsOf(height, newHeight, FILTERS[kind]);
    const row = newWidth * 3;
    const out = new Uint8Array(row * newHeight);
    for (let y = 0, o = 0; y < newHeight; y += 1) {
      const { low, weights } = taps[y];
      for (let x = 0; x < row; x += 1, o += 1) {
        let sum = 1 << (PRECISION_BITS - 1);
        for (let k = 0, i = low * row + x; k < weights.length; k += 1, i += row) sum += pixels[i] * weights[k];
        out[o] = toByte(sum);
      }
    }
    pixels = out;
  }
  return { width: newWidth, height: newHeight, data: pixels };
}

// The means of squares of `factor` pixels; at the right and lower edges of what there is.
export function reduce({ width, height, data }, factor) {
  if (factor === 1) return { width, height, data };
  const newWidth = Math.ceil(width / factor), newHeight = Math.ceil(height / factor);
  const out = new Uint8Array(newWidth * newHeight * 3);
  for (let y = 0, o = 0; y < newHeight; y += 1) {
    const bottom = Math.min((y + 1) * factor, height);
    for (let x = 0; x < newWidth; x += 1, o += 3) {
      const right = Math.min((x + 1) * factor, width);
      const number = (bottom - y * factor) * (right - x * factor);
      for (let c = 0; c < 3; c += 1) {
        let sum = number >> 1;
        for (let v = y * factor; v < bottom; v += 1) {
          for (let u = x * factor; u < right; u += 1) sum += data[(v * width + u) * 3 + c];
        }
        out[o + c] = Math.floor(sum / number);
      }
    }
  }
  return { width: newWidth, height: newHeight, data: out };
}

export function crop({ width, data }, left, top, right, bottom) {
  const out = new Uint8Array((right - left) * (bottom - top) * 3);
  for (let y = top; y < bottom; y += 1) {
    out.set(data.subarray((y * width + left) * 3, (y * width + right) * 3), (y - top) * (right - left) * 3);
  }
  return { width: right - left, height: bottom - top, data: out };
}

// Bytes [H, W, 3] as floats [3, H, W] in [0, 1].
export function toFloats({ width, height, data }) {
  const area = width * height;
  const out = new Float32Array(3 * area);
  for (let i = 0; i < area; i += 1) {
    for (let c = 0; c < 3; c += 1) out[c * area + i] = data[3 * i + c] / 255;
  }
  return out;
}

// The mirror images of planes [C, S, S].
export function mirror(planes, side) {
  const out = new Float32Array(planes.length);
  for (let row = 0; row < planes.length; row += side) {
    for (let x = 0; x < side; x += 1) out[row + x] = planes[row + side - 1 - x];
  }
  return out;
}

const CUBIC = -0.75;
const near = (x) => ((CUBIC + 2) * x - (CUBIC + 3)) * x * x + 1;
const far = (x) => ((CUBIC * x - 5 * CUBIC) * x + 8 * CUBIC) * x - 4 * CUBIC;

// Planes [C, H, W] at the points that `matrix` takes the pixels of a box to, [C, h, w]; bicubic, edges are repeated.
// Where `mask` is 0 nothing is read.
export function sample(planes, channels, width, height, matrix, box, mask = null) {
  const [left, top, right, bottom] = box;
  const wide = right - left, area = wide * (bottom - top), plane = width * height;
  const out = new Float32Array(channels * area);
  const [[a, b, c], [d, e, f]] = matrix, [lastX, lastY] = [width - 1, height - 1];
  for (let v = top, o = 0; v < bottom; v += 1) {
    for (let u = left; u < right; u += 1, o += 1) {
      if (mask !== null && mask[o] === 0) continue;
      const x = a * u + b * v + c, y = d * u + e * v + f;
      const x0 = Math.floor(x), y0 = Math.floor(y), s = x - x0, t = y - y0;
      const p0 = far(1 + s), p1 = near(s), p2 = near(1 - s), p3 = far(2 - s);
      const q0 = far(1 + t), q1 = near(t), q2 = near(1 - t), q3 = far(2 - t);
      const x1 = clamp(x0 - 1, 0, lastX), x2 = clamp(x0, 0, lastX), x3 = clamp(x0 + 1, 0, lastX), x4 = clamp(x0 + 2, 0, lastX);
      let r1 = clamp(y0 - 1, 0, lastY) * width, r2 = clamp(y0, 0, lastY) * width;
      let r3 = clamp(y0 + 1, 0, lastY) * width, r4 = clamp(y0 + 2, 0, lastY) * width;
      for (let n = 0, at = o; n < channels; n += 1, at += area) {
        out[at] = q0 * (p0 * planes[r1 + x1] + p1 * planes[r1 + x2] + p2 * planes[r1 + x3] + p3 * planes[r1 + x4])
          + q1 * (p0 * planes[r2 + x1] + p1 * planes[r2 + x2] + p2 * planes[r2 + x3] + p3 * planes[r2 + x4])
          + q2 * (p0 * planes[r3 + x1] + p1 * planes[r3 + x2] + p2 * planes[r3 + x3] + p3 * planes[r3 + x4])
          + q3 * (p0 * planes[r4 + x1] + p1 * planes[r4 + x2] + p2 * planes[r4 + x3] + p3 * planes[r4 + x4]);
        r1 += plane;
        r2 += plane;
        r3 += plane;
        r4 += plane;
      }
    }
  }
  return out;
}

const known = new Map();

// What each of `side` pixels takes of each of `own`: a triangle where there are fewer, else cubics. Each has as many taps.
function sideWeights(own, side) {
  const key = `${own} ${side}`;
  if (known.has(key)) return known.get(key);
  const scale = own / side;
  const rows = [];
  for (let i = 0; i < side; i += 1) {
    const row = new Map();
    if (scale > 1) {
      const middle = scale * (i + 0.5);
      for (let j = 0; j < own; j += 1) {
        const weight = 1 - Math.abs(j + 0.5 - middle) / scale;
        if (weight > 0) row.set(j, weight);
      }
    } else {
      const at = (i + 0.5) * scale - 0.5, first = Math.floor(at);
      for (let tap = -1; tap < 3; tap += 1) {
        const x = Math.abs(at - first - tap), j = clamp(first + tap, 0, own - 1);
        row.set(j, (row.get(j) ?? 0) + (x <= 1 ? near(x) : far(x)));
      }
    }
    const sum = scale > 1 ? [...row.values()].reduce((p, q) => p + q, 0) : 1;
    rows.push([...row].map(([j, weight]) => [j, weight / sum]));
  }
  const taps = Math.max(...rows.map((row) => row.length));
  const flat = { taps, pixels: new Int32Array(side * taps), weights: new Float64Array(side * taps) };
  rows.forEach((row, i) => row.forEach(([pixel, weight], k) => {
    flat.pixels[i * taps + k] = pixel;
    flat.weights[i * taps + k] = weight;
  }));
  known.set(key, flat);
  return flat;
}

// Planes [C, own, own] in [0, 1] at another side, as a refiner takes and gives them.
export function bring(planes, own, side) {
  if (own === side) return planes;
  const { taps, pixels, weights } = sideWeights(own, side), channels = planes.length / (own * own);
  const half = new Float32Array(channels * own * side), out = new Float32Array(channels * side * side);
  for (let line = 0; line < channels * own; line += 1) {
    for (let i = 0, k = 0; i < side; i += 1) {
      let sum = 0;
      for (const end = k + taps; k < end; k += 1) sum += weights[k] * planes[line * own + pixels[k]];
      half[line * side + i] = sum;
    }
  }
  for (let n = 0; n < channels; n += 1) {
    for (let i = 0; i < side; i += 1) {
      for (let x = 0; x < side; x += 1) {
        let sum = 0;
        for (let k = i * taps; k < (i + 1) * taps; k += 1) sum += weights[k] * half[(n * own + pixels[k]) * side + x];
        out[(n * side + i) * side + x] = own < side ? clamp(sum, 0, 1) : sum;
      }
    }
  }
  return out;
}
