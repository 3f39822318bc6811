// The photograph on its canvas: before and after, wipe, zoom and pan, and the outlines of its faces.

const MOST_ZOOM = 16;

export class Stage {
  constructor(root) {
    this.root = root;
    this.canvas = root.querySelector("#canvas");
    this.wiper = root.querySelector("#wiper");
    this.faces = root.querySelector("#faces");
    this.tags = [root.querySelector("#tag-before"), root.querySelector("#tag-after")];
    this.before = null;
    this.after = document.createElement("canvas");
    this.zoom = 1;
    this.x = this.y = 0;
    this.wipe = null;
    this.holds = false;
    this.onZoom = () => {};
    this.onFace = () => {};
    this.pointers = new Map();
    new ResizeObserver(() => this.fit(this.fitted ?? true)).observe(root);
    this.listen();
  }

  show(image, width, height, faces) {
    this.before = image;
    this.width = width;
    this.height = height;
    this.after.width = width;
    this.after.height = height;
    this.after.getContext("2d").drawImage(image, 0, 0, width, height);
    this.outline(faces);
    this.fit(true);
  }

  // Lays parts of an edit over the photograph, or over a ground where only changes are shown.
  lay(parts, ground) {
    const context = this.after.getContext("2d");
    if (ground) {
      context.fillStyle = ground;
      context.fillRect(0, 0, this.width, this.height);
    } else {
      context.drawImage(this.before, 0, 0, this.width, this.height);
    }
    for (const { box, image } of parts) context.drawImage(image, box[0], box[1], box[2] - box[0], box[3] - box[1]);
    this.draw();
  }

  // Says to whoever watches the page that what was asked for is shown.
  count() {
    this.root.dataset.shown = String(Number(this.root.dataset.shown ?? 0) + 1);
  }

  outline(faces) {
    this.faces.replaceChildren(...faces.map((face, number) => {
      const button = document.createElement("button");
      button.className = "face";
      button.type = "button";
      button.dataset.face = number;
      button.setAttribute("aria-label", `Face ${number + 1}`);
      button.setAttribute("aria-pressed", "false");
      const badge = document.createElement("span");
      badge.textContent = number + 1;
      button.append(badge);
      button.addEventListener("click", () => this.onFace(number));
      return button;
    }));
    this.boxes = faces.map((face) => face.preview_box);
  }

  select(which) {
    for (const button of this.faces.children) {
      button.setAttribute("aria-pressed", String(which === "all" || Number(button.dataset.face) === which));
    }
  }

  fit(whole) {
    if (!this.before) return;
    const { clientWidth: width, clientHeight: height } = this.root;
    this.least = Math.min(width / this.width, height / this.height);
    if (whole) {
      this.zoom = this.least;
      this.x = (width - this.width * this.zoom) / 2;
      this.y = (height - this.height * this.zoom) / 2;
      this.fitted = true;
    }
    this.draw();
  }

  zoomBy(factor, at = null) {
    if (!this.before) return;
    const point = at ?? { x: this.root.clientWidth / 2, y: this.root.clientHeight / 2 };
    const zoom = Math.min(MOST_ZOOM, Math.max(this.least, this.zoom * factor));
    this.x = point.x - ((point.x - this.x) * zoom) / this.zoom;
    this.y = point.y - ((point.y - this.y) * zoom) / this.zoom;
    this.zoom = zoom;
    this.fitted = zoom <= this.least * 1.001;
    if (this.fitted) this.fit(true);
    this.move(0, 0);
  }

  move(dx, dy) {
    const bound = (start, size, room) => (size <= room ? (room - size) / 2 : Math.min(0, Math.max(room - size, start)));
    this.x = bound(this.x + dx, this.width * this.zoom, this.root.clientWidth);
    this.y = bound(this.y + dy, this.height * this.zoom, this.root.clientHeight);
    this.draw();
  }

  setWipe(share) {
    this.wipe = share === null ? null : Math.min(1, Math.max(0, share));
    const shown = this.wipe !== null;
    this.wiper.hidden = !shown;
    for (const tag of this.tags) tag.hidden = !shown;
    if (shown) {
      this.wiper.setAttribute("aria-valuenow", String(Math.round(100 * this.wipe)));
      this.wiper.setAttribute("aria-valuetext", `${Math.round(100 * this.wipe)} % before`);
    }
    this.draw();
  }

  hold(holds) {
    this.holds = holds;
    this.draw();
  }

  draw() {
    if (!this.before || this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => {
      this.waiting = false;
      this.paint();
    });
  }

  paint() {
    const ratio = window.devicePixelRatio || 1;
    const width = this.root.clientWidth;
    const height = this.root.clientHeight;
    if (this.canvas.width !== Math.round(width * ratio) || this.canvas.height !== Math.round(height * ratio)) {
      this.canvas.width = Math.round(width * ratio);
      this.canvas.height = Math.round(height * ratio);
    }
    const context = this.canvas.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    context.imageSmoothingEnabled = this.zoom < 4;
    context.imageSmoothingQuality = "high";
    const place = [this.x, this.y, this.width * this.zoom, this.height * this.zoom];
    context.drawImage(this.holds ? this.before : this.after, ...place);
    if (this.wipe !== null && !this.holds) {
      const edge = this.x + place[2] * this.wipe;
      context.save();
      context.beginPath();
      context.rect(0, 0, edge, height);
      context.clip();
      context.drawImage(this.before, ...place);
      context.restore();
      this.wiper.style.left = `${edge}px`;
      this.wiper.style.top = `${Math.max(0, this.y)}px`;
      this.wiper.style.bottom = `${Math.max(0, height - this.y - place[3])}px`;
    }
    [...this.faces.children].forEach((button, number) => {
      const [left, top, right, bottom] = this.boxes[number];
      Object.assign(button.style, {
        left: `${this.x + left * this.zoom}px`, top: `${this.y + top * this.zoom}px`,
        width: `${(right - left) * this.zoom}px`, height: `${(bottom - top) * this.zoom}px`,
      });
    });
    this.onZoom(this.zoom / this.least);
  }

  at(event) {
    const box = this.root.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  }

  listen() {
    this.root.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.zoomBy(Math.exp(-event.deltaY * (event.ctrlKey ? 0.01 : 0.0018)), this.at(event));
    }, { passive: false });
    this.root.addEventListener("dblclick", (event) => {
      if (!event.target.closest(".wiper")) this.fitted ? this.zoomBy(3, this.at(event)) : this.fit(true);
    });
    this.root.addEventListener("pointerdown", (event) => {
      if (event.target.closest(".face, .wiper")) return;
      this.pointers.set(event.pointerId, this.at(event));
      this.root.setPointerCapture(event.pointerId);
    });
    this.root.addEventListener("pointermove", (event) => {
      const last = this.pointers.get(event.pointerId);
      if (!last || !this.before) return;
      const now = this.at(event);
      const others = [...this.pointers].filter(([id]) => id !== event.pointerId).map(([, point]) => point);
      this.pointers.set(event.pointerId, now);
      if (others.length) {
        const reach = (point) => Math.hypot(point.x - others[0].x, point.y - others[0].y);
        this.zoomBy(reach(now) / Math.max(reach(last), 1), { x: (now.x + others[0].x) / 2, y: (now.y + others[0].y) / 2 });
      } else {
        this.move(now.x - last.x, now.y - last.y);
      }
    });
    for (const kind of ["pointerup", "pointercancel"]) {
      this.root.addEventListener(kind, (event) => this.pointers.delete(event.pointerId));
    }
    const drag = (event) => {
      if (event.buttons || event.type === "pointerdown") this.setWipe((this.at(event).x - this.x) / (this.width * this.zoom));
    };
    this.wiper.addEventListener("pointerdown", (event) => {
      this.wiper.setPointerCapture(event.pointerId);
      drag(event);
    });
    this.wiper.addEventListener("pointermove", (event) => this.wiper.hasPointerCapture(event.pointerId) && drag(event));
    this.wiper.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -0.02, ArrowRight: 0.02, PageUp: 0.1, PageDown: -0.1, Home: -1, End: 1 }[event.key];
      if (step === undefined) return;
      event.preventDefault();
      event.stopPropagation();
      this.setWipe(this.wipe + step);
    });
    this.root.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: [40, 0], ArrowRight: [-40, 0], ArrowUp: [0, 40], ArrowDown: [0, -40] }[event.key];
      if (step === undefined || event.target !== this.root) return;
      event.preventDefault();
      this.move(...step);
    });
  }
}
