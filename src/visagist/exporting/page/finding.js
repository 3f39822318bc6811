// Faces of a photograph: the finder in tiles of several sizes, the points of each by the landmark network.

import { apply, betweenEyes, compose, faceScale, middle, roll, scaleOf, square, warpRoughly, yaw } from "./geometry.js";
import { clamp, crop, mirror, reduce, resize, roundEven, toFloats } from "./pixels.js";

const percent = (share) => `${roundEven(100 * share)}%`;
const applying = (reasons) => reasons.filter(([applies]) => applies).map(([, reason]) => reason);
const sigmoid = (x) => 1 / (1 + Math.exp(-x));

export class Finding {
  // `facts` are those of site.json; `landmarks` and `finder` are graphs, the finder null where the site has none.
  constructor(facts, landmarks, finder) {
    Object.assign(this, facts);
    this.landmarks = landmarks;
    this.finder = finder;
  }

  async find(photo) {
    const sizes = [photo];
    const detections = this.withoutDoubles(await this.scan(sizes));
    const read = await this.refineEitherWay(sizes, detections.map((detection) => detection.points));
    const odds = (share) => {
      const p = clamp(share, this.least_odds, 1 - this.least_odds);
      return Math.log(p / (1 - p));
    };
    const score = (sureness, i) => sigmoid(odds(sureness) + this.finder_weight * odds(detections[i].score) - this.overrated);
    const faces = read.map((face, i) => ({
      points: face.points, hidden: detections[i].hidden, score: score(face.sureness, i),
    }));
    // What is not surely a face is looked at in a wider square.
    for (const [i, face] of faces.entries()) {
      if (face.score >= this.sure) continue;
      const [wider] = await this.read(sizes, [this.upright(face.points, this.wider)]);
      face.score = score(wider.sureness, i);
    }
    return this.keep(faces, photo);
  }

  // The face in a box that a person drew.
  async findIn(photo, [left, top, right, bottom]) {
    const center = [(left + right) / 2, (top + bottom) / 2];
    const width = (this.crop_scale / this.box_width) * Math.max(right - left, bottom - top);
    let [face] = await this.read([photo], [square(center, width, 0, this.side)]);
    for (let pass = 1; pass < this.passes; pass += 1) [face] = await this.read([photo], [this.upright(face.points)]);
    return this.keep([{ points: face.points, hidden: 0, score: face.sureness }], photo);
  }

  // Those that are faces, each once, the largest first, with what is to be said of them.
  keep(faces, photo) {
    const kept = [];
    for (const face of [...faces].sort((a, b) => b.score - a.score)) {
      const described = this.describe(face, photo);
      const apart = (other) => {
        const size = Math.min(described.box[2] - described.box[0], other.box[2] - other.box[0]);
        const [a, b] = [middle(face.points), middle(other.points)];
        return Math.hypot(a[0] - b[0], a[1] - b[1]) > this.apart * size;
      };
      if (face.score >= this.face_threshold && kept.every(apart)) kept.push(described);
    }
    return this.withoutCrowds(kept).sort((a, b) => faceScale(b.points, this.spread) - faceScale(a.points, this.spread));
  }

  // Proposals without those at one that the finder is sure of, of which it is less sure: they are not read.
  withoutDoubles(proposals) {
    const width = ({ points }) => this.box_width * faceScale(points, this.spread);
    const isDouble = (a, b) => {
      const [[x, y], [u, v]] = [middle(a.points), middle(b.points)];
      return Math.hypot(x - u, y - v) < this.apart * Math.min(width(a), width(b));
    };
    const sure = proposals.filter((proposal) => proposal.score >= this.sure_proposal);
    return proposals.filter((a) => a.score >= this.sure_proposal || !sure.some((b) => isDouble(a, b)));
  }

  // Those that hold several others are crowds, those that one alone holds are parts of it.
  withoutCrowds(faces) {
    const width = (face) => face.box[2] - face.box[0];
    const holds = (a, b) => width(b) < this.small_in_face * width(a)
      && middle(b.points).every((v, i) => Math.abs(v - middle(a.points)[i]) < width(a) / 2);
    const isCrowd = (face) => faces.filter((other) => holds(face, other)).length >= this.crowd;
    const isPart = (face) => faces.some((other) => !isCrowd(other) && holds(other, face));
    return faces.filter((face) => !isCrowd(face) && !isPart(face));
  }

  describe(face, photo) {
    const half = 0.5 * this.box_width * faceScale(face.points, this.spread);
    const [x, y] = middle(face.points);
    const box = [x - half, y - half, x + half, y + half].map(roundEven);
    const between = betweenEyes(face.points), { hidden, score } = face;
    const turn = Math.abs(yaw(face.points, this.head)), tilt = Math.abs((180 / Math.PI) * roll(face.points));
    const inside = [photo.width, photo.height].map((end, i) => Math.max(Math.min(box[i + 2], end) - Math.max(box[i], 0), 0));
    const outside = 1 - (inside[0] * inside[1]) / (Math.max(box[2] - box[0], 1) * Math.max(box[3] - box[1], 1));
    const turned = `by ${roundEven(turn)} degrees, more than`, tilted = `by ${roundEven(tilt)} degrees, more than`;
    const warnings = [
      [between < this.too_small, `small: its eyes are ${roundEven(between)} pixels apart, fewer than ${this.too_small}`],
      [turn > this.too_turned, `turned to the side: ${turned} ${this.too_turned}`],
      [tilt > this.upside_down, `upside down: tilted ${tilted} ${this.upside_down}`],
      [tilt > this.too_tilted && tilt <= this.upside_down, `tilted: ${tilted} ${this.too_tilted}`],
      [outside > this.too_far_out, `partly outside the photograph: ${percent(outside)} of it, more than ${percent(this.too_far_out)}`],
      [hidden > this.too_hidden, `partly covered: ${percent(hidden)} of it, more than ${percent(this.too_hidden)}`],
      [score < this.unsure, `not surely a face: ${score.toFixed(2)}, less than ${this.unsure}`],
    ];
    const unfit = [
      [turn > this.in_profile, `in profile: turned ${turned} ${this.in_profile}`],
      [hidden > this.mostly_hidden, `half covered: ${percent(hidden)} of it, more than ${percent(this.mostly_hidden)}`],
    ];
    return { ...face, box, warnings: applying(warnings), unfit: applying(unfit) };
  }

  // Detections in a photograph, the first of `sizes`, to which its reductions are added.
  async scan(sizes) {
    const [photo] = sizes;
    let reduced = this.firstSize(photo);
    const parts = [];
    for (;;) {
      if (reduced.height < sizes[sizes.length - 1].height) sizes.push(reduced);
      const shrink = reduced.width / photo.width;
      for (const found of await this.scanSize(reduced)) {
        parts.push({ ...found, points: found.points.map(([x, y]) => [(x + 0.5) / shrink - 0.5, (y + 0.5) / shrink - 0.5]) });
      }
      if (Math.max(reduced.width, reduced.height) <= this.largest_seen) return this.merge(parts);
      reduced = reduce(reduced, this.reduction);
    }
  }

  firstSize(photo) {
    let ratio = Math.min(this.seen / this.smallest, this.max_enlargement), picture = photo;
    const whole = Math.floor(1 / ratio);
    if (whole > 1) [picture, ratio] = [reduce(photo, whole), ratio * whole];
    const size = (length) => Math.max(roundEven(length * ratio), 1);
    return resize(picture, size(picture.width), size(picture.height), "bilinear");
  }

  async scanSize(picture) {
    const found = [];
    for (const [top, bottom] of this.spans(picture.height)) {
      for (const [left, right] of this.spans(picture.width)) {
        const tile = pad(crop(picture, left, top, right, bottom), this.stride);
        const outputs = await this.finder.run({ images: [toFloats(tile), [1, 3, tile.height, tile.width]] });
        for (const cell of this.cells([outputs.fine, outputs.coarse])) {
          found.push({ ...cell, points: cell.points.map(([x, y]) => [x + left, y + top]) });
        }
      }
    }
    return found;
  }

  spans(length) {
    if (length <= this.tile) return [[0, length]];
    const number = Math.ceil((length - this.overlap) / (this.tile - this.overlap));
    const side = Math.ceil((length + (number - 1) * this.overlap) / number);
    return Array.from({ length: number }, (_, i) => {
      const start = roundEven((i * (length - side)) / (number - 1));
      return [start, start + side];
    });
  }

  cells(grids) {
    const limit = Math.log(this.network_threshold / (1 - this.network_threshold)), found = [];
    grids.forEach(({ data, dims }, index) => {
      const { stride, unit } = this.levels[index], [height, width] = dims.slice(2), area = height * width;
      for (let i = 0; i < area; i += 1) {
        if (data[i] <= limit) continue;
        const x = stride * ((i % width) + 0.5) - 0.5, y = stride * (Math.floor(i / width) + 0.5) - 0.5;
        const points = Array.from({ length: 5 }, (_, k) => [
          x + unit * data[(2 + 2 * k) * area + i], y + unit * data[(3 + 2 * k) * area + i],
        ]);
        found.push({ score: sigmoid(data[i]), hidden: sigmoid(data[area + i]), points: this.unfold(points, this.levels[index]) });
      }
    });
    return found;
  }

  // Points that fall together, where the network cannot tell which way up a face is, laid out as of an upright face.
  unfold(points, { narrowest, widest }) {
    if (faceScale(points, this.spread) >= (this.folded * narrowest) / this.box_width) return points;
    const [x, y] = middle(points);
    const unit = Math.sqrt(narrowest * widest) / this.box_width / faceScale(this.usual, this.spread);
    return this.usual.map(([u, v]) => [x + unit * u, y + unit * v]);
  }

  // Each face once, by falling score; its points are means of its detections, weighted by their scores. What is hardly
  // a face and a part of a surer one is left out.
  merge(detections) {
    const sorted = [...detections].sort((a, b) => b.score - a.score).map((detection) => {
      const half = (this.box_width / 2) * faceScale(detection.points, this.spread), [x, y] = middle(detection.points);
      return { ...detection, x, y, low: [x - half, y - half], high: [x + half, y + half], area: (2 * half) ** 2, free: true };
    });
    const shared = (a, b) => {
      const sides = [0, 1].map((i) => Math.max(Math.min(a.high[i], b.high[i]) - Math.max(a.low[i], b.low[i]), 0));
      return sides[0] * sides[1];
    };
    const merged = [];
    for (const best of sorted) {
      if (!best.free) continue;
      const same = (other) => other.free && shared(best, other) > this.same * (best.area + other.area - shared(best, other));
      const group = sorted.filter((other) => other === best || same(other));
      for (const other of group) other.free = false;
      // Cells that take a face for upright and others that do not have no mean.
      const unit = faceScale(best.points, this.spread);
      const agreeing = group.filter((other) => other.points.reduce(
        (sum, [x, y], k) => sum + Math.hypot(x - best.points[k][0], y - best.points[k][1]) / 5, 0,
      ) < this.agreeing * unit);
      const total = agreeing.reduce((sum, { score }) => sum + score ** 2, 0);
      const mean = (value) => agreeing.reduce((sum, other) => sum + (other.score ** 2 / total) * value(other), 0);
      merged.push({
        ...best, hidden: mean((other) => other.hidden),
        points: best.points.map((_, k) => [mean((other) => other.points[k][0]), mean((other) => other.points[k][1])]),
      });
    }
    const isPart = (face, other) => face.score < 0.5 && face.score < other.score
      && face.area < 0.3 * other.area && shared(face, other) > 0.8 * face.area;
    return merged.filter((face) => !merged.some((other) => isPart(face, other)));
  }

  // Points that are known nearly, of faces that may be upside down, whose points are known as if they were not: a face that
  // the first look is not sure of is read both ways, twice, and the surer counts.
  async refineEitherWay(sizes, points) {
    const faces = [];
    for (const known of points) {
      const [first] = await this.read(sizes, [this.upright(known)]);
      let [face] = await this.read(sizes, [this.upright(first.points)]);
      if (first.sureness < this.taken_for_a_face) {
        const [x, y] = middle(known);
        const [upsideDown] = await this.read(sizes, [this.upright(known.map(([u, v]) => [2 * x - u, 2 * y - v]))]);
        const [other] = await this.read(sizes, [this.upright(upsideDown.points)]);
        if (other.sureness > face.sureness) face = other;
      }
      faces.push(face);
    }
    return faces;
  }

  upright(points, wider = 1) {
    return square(middle(points), wider * this.crop_scale * faceScale(points, this.spread), roll(points), this.side);
  }

  // The points in each square, the means of those of the square and of its mirror image.
  async read(sizes, squares) {
    const side = this.side, faces = [];
    for (const matrix of squares) {
      const planes = toFloats(warpFrom(sizes, matrix, side));
      const both = new Float32Array(2 * planes.length);
      both.set(planes);
      both.set(mirror(planes, side), planes.length);
      const { points, sureness } = await this.landmarks.run({ images: [both, [2, 3, side, side]] });
      const at = (row, k, axis) => points.data[(row * 5 + k) * 2 + axis] * side - 0.5;
      faces.push({
        sureness: sigmoid((sureness.data[0] + sureness.data[1]) / 2),
        points: this.mirrored.map((other, k) => apply(matrix, [
          (at(0, k, 0) + side - 1 - at(1, other, 0)) / 2, (at(0, k, 1) + at(1, other, 1)) / 2,
        ])),
      });
    }
    return faces;
  }
}

// As `warpRoughly`, from the smallest of a photograph's sizes that is still twice as fine as the square.
function warpFrom(sizes, matrix, side) {
  const [whole] = sizes, step = scaleOf(matrix);
  const photo = sizes.filter((size) => step * size.height >= 2 * whole.height || size === whole).pop();
  const x = photo.width / whole.width, y = photo.height / whole.height;
  return warpRoughly(photo, compose(matrix, [[x, 0, (x - 1) / 2], [0, y, (y - 1) / 2]]), side);
}

// A tile whose sides are multiples of `stride`, its edge repeated.
function pad({ width, height, data }, stride) {
  const wide = Math.ceil(width / stride) * stride, high = Math.ceil(height / stride) * stride;
  const out = new Uint8Array(wide * high * 3);
  for (let y = 0, o = 0; y < high; y += 1) {
    const row = Math.min(y, height - 1) * width;
    for (let x = 0; x < wide; x += 1) {
      const i = (row + Math.min(x, width - 1)) * 3;
      out[o++] = data[i];
      out[o++] = data[i + 1];
      out[o++] = data[i + 2];
    }
  }
  return { width: wide, height: high, data: out };
}
