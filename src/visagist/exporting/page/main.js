// The page: a photograph in, its faces outlined, one slider an attribute, before and after, and a file out.

import { newest } from "./newest.js";
import { Sliders } from "./sliders.js";
import { signedFile } from "./sign.js";
import { Stage } from "./stage.js";
import { Store } from "./store.js";

const SHOWN_SIDE = 1024; // of what is edited while a slider moves; a download is of the whole photograph
const MOST_PIXELS = 16e6; // that all browsers draw
const byId = (name) => document.getElementById(name);

const stage = new Stage(byId("stage"));
const store = new Store();
const sliders = new Sliders(byId("sliders"), byId("more"), store);
let facts = null;
let photograph = null; // { name, type, whole, shown, faces }

// ---- the worker ---------------------------------------------------------------------------------------------------

const worker = new Worker("worker.js", { type: "module" });
const waiting = new Map();
let number = 0;

worker.addEventListener("message", ({ data }) => {
  const task = waiting.get(data.id);
  if (data.told !== undefined) return task.say(data.told);
  waiting.delete(data.id);
  return data.error === undefined ? task.resolve(data.result) : task.reject(new Error(data.error));
});
worker.addEventListener("error", (event) => fail(new Error(event.message || "the worker could not be started")));

function ask(task, given = {}, say = () => {}) {
  number += 1;
  worker.postMessage({ id: number, task, given });
  return new Promise((resolve, reject) => { waiting.set(number, { resolve, reject, say }); });
}

// ---- the start ----------------------------------------------------------------------------------------------------

// Files come through the service worker, so that they are kept. Its headers, which threads need, take a second load.
async function settle() {
  if (!("serviceWorker" in navigator)) return;
  try {
    await navigator.serviceWorker.register("offline.js");
  } catch {
    return; // not allowed here: the page works, but not offline
  }
  await navigator.serviceWorker.ready;
  if (self.crossOriginIsolated || sessionStorage.getItem("settled")) return;
  sessionStorage.setItem("settled", "yes");
  location.reload();
  await new Promise(() => {});
}

async function start() {
  await settle();
  const asked = new URLSearchParams(location.search);
  const given = { by: asked.get("by") ?? "auto", threads: Number(asked.get("threads") ?? 0) };
  const started = await ask("start", given, ({ come, total }) => {
    byId("progress").value = come / total;
    byId("loading-text").textContent = `Loading the models: ${(come / 1e6).toFixed(1)} of ${(total / 1e6).toFixed(1)} MB`;
  });
  facts = started.facts;
  const { name, attributes, falls_short: short } = facts.model;
  const refines = facts.refiner?.attributes.filter((attribute) => attributes.includes(attribute)) ?? [];
  store.use({ models: [{ name, attributes, refines, falls_short: short }], best: Object.fromEntries(attributes.map((a) => [a, name])), modes: [] });
  sliders.build();
  byId("terms").textContent = facts.terms;
  const threads = started.threads === 1 ? "one thread" : `${started.threads} threads`;
  byId("by").textContent = started.by === "webgpu" ? "computed by WebGPU" : `computed by WebAssembly, ${threads}`;
  byId("loading").hidden = true;
  document.body.dataset.ready = started.by;
}

const ready = start();
ready.catch((error) => {
  byId("loading-text").textContent = `The models could not be loaded: ${error.message}`;
  byId("progress").hidden = true;
});

// ---- a photograph -------------------------------------------------------------------------------------------------

function canvasOf(image, width, height) {
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.imageSmoothingQuality = "high";
  context.fillStyle = "#fff"; // below what is transparent
  context.fillRect(0, 0, width, height);
  context.drawImage(image, 0, 0, width, height);
  return canvas;
}

function pixelsOf(canvas) {
  const { width, height } = canvas, rgba = canvas.getContext("2d").getImageData(0, 0, width, height).data;
  const data = new Uint8Array(3 * width * height);
  for (let i = 0, o = 0; i < rgba.length; i += 4, o += 3) {
    data[o] = rgba[i];
    data[o + 1] = rgba[i + 1];
    data[o + 2] = rgba[i + 2];
  }
  return { width, height, data };
}

async function open(file) {
  let image;
  try {
    image = await createImageBitmap(file, { imageOrientation: "from-image" });
  } catch {
    return fail(new Error(`${file.name} is no picture that this browser can read: choose a JPEG or PNG`));
  }
  byId("welcome").hidden = true;
  byId("editor").hidden = false;
  const most = Math.min(1, Math.sqrt(MOST_PIXELS / (image.width * image.height)));
  const scaled = (ratio) => [image.width, image.height].map((side) => Math.max(1, Math.round(side * ratio)));
  const whole = canvasOf(image, ...scaled(most));
  const ratio = Math.min(1, SHOWN_SIDE / Math.max(whole.width, whole.height));
  const shown = ratio < 1 ? canvasOf(whole, Math.round(whole.width * ratio), Math.round(whole.height * ratio)) : whole;
  const opened = { name: file.name, type: file.type === "image/png" ? "image/png" : "image/jpeg", whole, shown, faces: [] };
  photograph = opened;
  store.value = { ...store.value, faces: {} };
  store.forget();
  notice(most < 1 ? `This browser edits up to ${MOST_PIXELS / 1e6} megapixels: the photograph was reduced to ${whole.width}×${whole.height}.` : "");
  stage.show(shown, shown.width, shown.height, []);
  drawing(false);
  stage.setWipe(null);
  byId("wipe").setAttribute("aria-pressed", "false");
  sliders.enable(false);
  busy(document.body.dataset.ready ? "Looking for faces…" : "Loading the models…");
  try {
    await ready;
    const found = await ask("open", { shown: pixelsOf(shown), whole: shown === whole ? null : pixelsOf(whole) });
    if (photograph !== opened) return undefined;
    opened.faces = found ?? [];
    showFaces();
    if (!opened.faces.length) {
      drawing(true);
      notice(found === null ? "Draw a box around a face, from the brows to the chin." : "No face was found. Draw a box around one, from the brows to the chin.");
    }
  } catch (error) {
    fail(error);
  } finally {
    if (photograph === opened) busy("");
    document.body.dataset.opened = String(Number(document.body.dataset.opened ?? 0) + 1);
  }
  return undefined;
}

function showFaces() {
  const { faces, shown, whole } = photograph, ratio = shown.width / whole.width;
  stage.outline(faces.map((face) => ({ preview_box: face.box.map((side) => side * ratio) })));
  faces.forEach((face, i) => {
    stage.faces.children[i].dataset.points = JSON.stringify(face.points);
    stage.faces.children[i].classList.toggle("refused", isRefused(face));
  });
  stage.draw();
  stage.root.classList.remove("quiet");
  const which = faces.length > 1 ? ["all", ...faces.keys()] : [];
  byId("face-picker").replaceChildren(...which.map((face) => {
    const button = Object.assign(document.createElement("button"), { type: "button", textContent: face === "all" ? "All faces" : `Face ${face + 1}` });
    button.dataset.which = face;
    button.addEventListener("click", () => pickFace(face));
    return button;
  }));
  sliders.enable(!faces.every(isRefused));
  pickFace("all");
  tellOfFaces();
  byId("status").textContent = faces.length ? `${faces.length} ${faces.length === 1 ? "face" : "faces"}` : "";
}

// What may fail, and what would: that face is left alone until the person asks for it all the same.
function tellOfFaces() {
  const { faces } = photograph, refused = faces.filter(isRefused);
  const lines = faces.flatMap((face, i) => (isRefused(face)
    ? face.unfit.map((reason) => `Face ${i + 1} is ${reason}. An edit of such a face fails, so it is left alone.`)
    : face.warnings.map((warning) => `Face ${i + 1} is ${warning}. Its edit may fail.`)));
  if (!lines.length) return;
  notice(lines.join(" "), refused.length && { text: refused.length > 1 ? "Edit them all the same" : "Edit it all the same", act: () => {
    for (const face of refused) face.forced = true;
    notice("");
    showFaces();
    show();
  } });
}

function pickFace(which) {
  sliders.face = which;
  for (const button of byId("face-picker").children) button.setAttribute("aria-pressed", String(button.dataset.which === String(which)));
  stage.select(photograph.faces.length > 1 ? which : "all");
  sliders.update();
}

stage.onFace = (face) => pickFace(photograph.faces.length > 1 ? face : "all");

// ---- editing ------------------------------------------------------------------------------------------------------

// The strengths of each face: those of all faces, and its own.
function strengths() {
  const { faces } = store.value;
  return photograph.faces.map((face, i) => (isRefused(face) ? {} : { ...(faces.all ?? {}), ...(faces[i] ?? {}) }));
}

const isRefused = (face) => face.unfit.length > 0 && !face.forced;

const isEdited = () => photograph !== null && strengths().some((set) => Object.values(set).some(Boolean));

store.addEventListener("change", () => {
  sliders.update();
  if (!photograph) return;
  byId("reset").disabled = byId("download").disabled = !isEdited();
  if (isEdited()) stage.root.classList.add("quiet");
  show();
});

const show = newest(async () => {
  if (!photograph) return;
  const opened = photograph;
  const { parts, milliseconds } = isEdited() ? await edited("shown") : { parts: [], milliseconds: 0 };
  if (photograph !== opened) return;
  stage.lay(parts.map(({ box, data }) => ({ box, image: canvasOfPart(box, data) })), null);
  stage.root.dataset.milliseconds = milliseconds.toFixed(1);
}, fail, () => stage.count());

function edited(size) {
  const faces = photograph.faces.map(({ points }) => ({ points }));
  return ask("edit", { size, faces, strengths: strengths() });
}

function canvasOfPart([left, top, right, bottom], data) {
  const canvas = Object.assign(document.createElement("canvas"), { width: right - left, height: bottom - top });
  canvas.getContext("2d").putImageData(new ImageData(data, right - left), 0, 0);
  return canvas;
}

async function download() {
  busy("Editing the whole photograph…");
  try {
    const { whole, name, type } = photograph, { parts } = await edited("whole");
    const canvas = canvasOf(whole, whole.width, whole.height), context = canvas.getContext("2d");
    for (const { box, data } of parts) context.putImageData(new ImageData(data, box[2] - box[0]), box[0], box[1]);
    const sets = strengths().filter((set) => Object.values(set).some(Boolean));
    const words = sets.map((set) => Object.entries(set).filter(([, value]) => value).map(([key, value]) => `${key}=${value}`).join(", "));
    const file = await signedFile(canvas, type, facts.xmp, {
      settings: [...new Set(words)].join("; "), faces: String(sets.length), mode: facts.refiner === null ? "detail" : "photo",
      backend: `onnxruntime-web, ${document.body.dataset.ready}`,
    });
    const link = Object.assign(document.createElement("a"), {
      href: URL.createObjectURL(file), download: `${name.replace(/\.[^.]*$/, "")}-edited.${type === "image/png" ? "png" : "jpg"}`,
    });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  } catch (error) {
    fail(error);
  } finally {
    busy("");
  }
}

// ---- a face that a person draws -----------------------------------------------------------------------------------

const sketch = byId("sketch");
let corner = null;

function drawing(is) {
  sketch.hidden = !is;
  byId("draw").setAttribute("aria-pressed", String(is));
  Object.assign(sketch.firstElementChild.style, { width: 0, height: 0 });
}

sketch.addEventListener("pointerdown", (event) => {
  event.stopPropagation();
  sketch.setPointerCapture(event.pointerId);
  corner = stage.at(event);
});
sketch.addEventListener("pointermove", (event) => {
  if (!corner) return;
  const now = stage.at(event);
  Object.assign(sketch.firstElementChild.style, {
    left: `${Math.min(corner.x, now.x)}px`, top: `${Math.min(corner.y, now.y)}px`,
    width: `${Math.abs(now.x - corner.x)}px`, height: `${Math.abs(now.y - corner.y)}px`,
  });
});
sketch.addEventListener("pointerup", async (event) => {
  if (!corner) return;
  const now = stage.at(event), ratio = photograph.whole.width / photograph.shown.width, opened = photograph;
  const place = (point) => [((point.x - stage.x) / stage.zoom) * ratio, ((point.y - stage.y) / stage.zoom) * ratio];
  const [a, b] = [place(corner), place(now)];
  corner = null;
  drawing(false);
  const box = [Math.min(a[0], b[0]), Math.min(a[1], b[1]), Math.max(a[0], b[0]), Math.max(a[1], b[1])];
  if (box[2] - box[0] < 8 || box[3] - box[1] < 8) return;
  try {
    const found = await ask("findIn", { box });
    if (photograph !== opened) return;
    if (!found.length) {
      notice("No face can be read there. Draw a box from the brows to the chin of an upright face.");
      return;
    }
    notice("");
    opened.faces.push(...found);
    showFaces();
    show();
  } catch (error) {
    fail(error);
  } finally {
    document.body.dataset.drawn = String(Number(document.body.dataset.drawn ?? 0) + 1);
  }
});

// ---- the rest of the page -----------------------------------------------------------------------------------------

// Says something, and has a button for what can be done about it.
function notice(text, action = null) {
  byId("notice").replaceChildren(text);
  if (action) {
    const button = Object.assign(document.createElement("button"), { type: "button", className: "link", textContent: action.text });
    button.addEventListener("click", action.act);
    byId("notice").append(" ", button);
  }
  byId("notice").hidden = !text;
}

function busy(text) {
  byId("busy-text").textContent = text;
  byId("busy").hidden = !text;
}

function fail(error) {
  notice(error.message);
  if (!photograph) byId("loading-text").textContent = error.message;
  if (!photograph) byId("loading").hidden = false;
}

function leave() {
  photograph = null;
  byId("editor").hidden = true;
  byId("welcome").hidden = false;
}

function toggleWipe() {
  const is = stage.wipe === null;
  stage.setWipe(is ? 0.5 : null);
  byId("wipe").setAttribute("aria-pressed", String(is));
}

byId("choose").addEventListener("click", () => byId("file").click());
byId("another").addEventListener("click", () => byId("file").click());
byId("home").addEventListener("click", (event) => {
  event.preventDefault();
  leave();
});
byId("file").addEventListener("change", ({ target }) => {
  const [file] = target.files;
  target.value = "";
  if (file) open(file);
});
byId("example").addEventListener("click", async () => {
  const blob = await (await fetch("example.jpg")).blob();
  open(new File([blob], "portrait.jpg", { type: "image/jpeg" }));
});
byId("reset").addEventListener("click", () => store.change({ faces: {} }));
byId("download").addEventListener("click", download);
byId("wipe").addEventListener("click", toggleWipe);
byId("draw").addEventListener("click", () => drawing(sketch.hidden));
byId("zoom-in").addEventListener("click", () => stage.zoomBy(1.5));
byId("zoom-out").addEventListener("click", () => stage.zoomBy(1 / 1.5));
byId("zoom-fit").addEventListener("click", () => stage.fit(true));
stage.onZoom = (zoom) => { byId("zoom-level").textContent = `${Math.round(100 * zoom)} %`; };

for (const kind of ["dragover", "dragenter"]) {
  addEventListener(kind, (event) => {
    event.preventDefault();
    document.body.classList.add("dragging");
  });
}
for (const kind of ["dragleave", "drop"]) addEventListener(kind, () => document.body.classList.remove("dragging"));
addEventListener("drop", (event) => {
  event.preventDefault();
  const [file] = event.dataTransfer.files;
  if (file) open(file);
});
addEventListener("paste", (event) => {
  const file = [...event.clipboardData.files].find(({ type }) => type.startsWith("image/"));
  if (file) open(file);
});
addEventListener("keydown", (event) => {
  if (!photograph || event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input:not([type=range])")) return;
  if (event.key === "c") stage.hold(true);
  if (event.key === "w") toggleWipe();
  if (event.key === "Escape") drawing(false);
});
addEventListener("keyup", (event) => {
  if (event.key === "c") stage.hold(false);
});

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
}
setTheme(matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
byId("theme").addEventListener("click", () => setTheme(document.documentElement.dataset.theme === "dark" ? "light" : "dark"));
