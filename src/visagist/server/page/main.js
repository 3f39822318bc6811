// The page: a photograph, its sliders, and everything around them.

import * as api from "./api.js";
import { takePhotograph } from "./camera.js";
import { NewFaces } from "./faces.js";
import { Many } from "./many.js";
import { newest } from "./newest.js";
import { showNoScores, showScores } from "./scores.js";
import { Sliders } from "./sliders.js";
import { Stage } from "./stage.js";
import { Store, label } from "./store.js";

const MODES = {
  auto: ["Automatic", "The best that the model can do with the attribute."],
  detail: ["Keep the photograph", "It stays as sharp as it is; only the change is added."],
  render: ["Show the model’s own face", "Softer and coarser: what the model paints takes the face’s place."],
  photo: ["Paint it anew", "A second network paints what changes, at the quality of a photograph. Not for every attribute."],
};
const GROUNDS = { edited: null, residual: "#7f7f7f", heat: "#000" };
const SETTLE_MS = 350;
const byId = (id) => document.getElementById(id);

const store = new Store();
const stage = new Stage(byId("stage"));
const sliders = new Sliders(byId("sliders"), byId("more"), store);
const reads = { reads: byId("reads"), by: byId("reads-by"), warnings: byId("warnings") };
const many = new Many(store, { save, stem });
const newFaces = new NewFaces(store, async (address) => {
  const bytes = Uint8Array.from(atob(address.split(",")[1]), (letter) => letter.charCodeAt(0));
  choose("edit");
  await open(new File([bytes], "painted.png", { type: "image/png" }));
});

let photograph = null; // what the server says of it, with its file
let view = "edited";
let judging = null;
let settle = 0;

// ---- opening ------------------------------------------------------------------------------------------------------

async function open(file) {
  if (!file) return;
  const former = photograph;
  photograph = null;
  byId("welcome").hidden = true;
  byId("editor").hidden = false;
  busy("Looking for faces…");
  say("");
  try {
    const facts = await api.openPhotograph(file);
    const image = await picture(facts.picture);
    if (former) api.closePhotograph(former.id);
    photograph = { ...facts, file };
    store.forget();
    stage.show(image, ...facts.preview, facts.faces);
    stage.root.classList.remove("quiet");
    byId("canvas").setAttribute("aria-label", `${file.name}, edited`);
    pickFaces();
    welcomeFaces(facts);
    update(false);
  } catch (error) {
    photograph = former;
    if (!former) home();
    fail(error);
  } finally {
    busy(null);
  }
}

function welcomeFaces(facts) {
  const number = facts.faces.length;
  const size = `${facts.size[0]} × ${facts.size[1]} pixels`;
  sliders.enable(number > 0);
  say(number === 0 ? `${size}. No face was found.` : number === 1 ? `${size}. One face was found: move a slider.`
    : `${size}. ${number} faces were found: pick one, or move all.`);
  notice(number === 0 ? "No face was found. Use a photograph that shows a face from the front, not too small." : "");
}

async function reopen() {
  const facts = await api.openPhotograph(photograph.file);
  photograph = { ...facts, file: photograph.file };
}

function home() {
  byId("welcome").hidden = false;
  byId("editor").hidden = true;
}

async function example() {
  const response = await fetch("static/example.jpg");
  await open(new File([await response.blob()], "astronaut.jpg", { type: "image/jpeg" }));
}

const picture = async (address) => {
  const image = new Image();
  image.src = address;
  await image.decode();
  return image;
};

// ---- faces --------------------------------------------------------------------------------------------------------

function pickFaces() {
  const number = photograph.faces.length;
  const edited = Object.keys(store.value.faces).map((key) => (key === "all" ? "all" : Number(key)));
  const start = number > 1 && !edited.includes("all") ? edited.find((key) => key < number) ?? 0 : "all";
  const choices = number > 1 ? ["all", ...photograph.faces.keys()] : ["all"];
  byId("face-picker").replaceChildren(...choices.map((which) => {
    const button = Object.assign(document.createElement("button"), { type: "button" });
    button.textContent = which !== "all" ? `Face ${which + 1}` : number > 1 ? "All faces" : number ? "The face" : "No face";
    button.dataset.which = which;
    button.addEventListener("click", () => pickFace(which));
    return button;
  }));
  pickFace(start);
}

function pickFace(which) {
  sliders.face = which;
  for (const button of byId("face-picker").children) button.setAttribute("aria-pressed", String(button.dataset.which === String(which)));
  stage.select(photograph.faces.length > 1 ? which : "all");
  sliders.update();
  sliders.arrange();
}

stage.onFace = (number) => pickFace(photograph.faces.length > 1 ? number : "all");

// ---- editing ------------------------------------------------------------------------------------------------------

function update(live) {
  sliders.update();
  const steps = photograph ? store.steps(photograph.faces.length) : [];
  byId("undo").disabled = !store.past.length;
  byId("redo").disabled = !store.future.length;
  byId("reset").disabled = !Object.keys(store.value.faces).length;
  byId("download").disabled = !steps.length;
  if (!photograph) return;
  if (steps.length) stage.root.classList.add("quiet");
  if (photograph.faces.length) notice("");
  show();
  clearTimeout(settle);
  if (!live) settle = setTimeout(read, SETTLE_MS);
}

const show = newest(async () => {
  if (!photograph) return;
  const opened = photograph;
  const steps = store.steps(opened.faces.length);
  if (!steps.length) {
    stage.lay([], GROUNDS[view]);
    return;
  }
  const { parts } = await withPhotograph((id) => api.preview(id, steps, view));
  const drawn = await Promise.all(parts.map(async (part) => ({ box: part.box, image: await picture(part.picture) })));
  if (photograph?.file === opened.file) stage.lay(drawn, GROUNDS[view]);
}, fail, () => stage.count());

async function read() {
  if (!photograph) return;
  const steps = store.steps(photograph.faces.length);
  judging?.abort();
  if (!steps.length) {
    const known = photograph.faces.flatMap((face, number) => face.warnings.map((warning) => `Face ${number + 1} is ${warning}`));
    showNoScores(reads, photograph.faces.length ? "Nothing yet. Move a slider to see what it does." : "", [...known, ...photograph.notes]);
    return;
  }
  judging = new AbortController();
  try {
    const answer = await withPhotograph((id) => api.judge(id, steps, judging.signal));
    showScores(reads, answer, store, photograph.faces.length === 1);
  } catch (error) {
    if (error.name !== "AbortError") fail(error);
  }
}

// The server lets photographs go after a while, or with a worker that died: then it gets this one again.
async function withPhotograph(ask) {
  try {
    return await ask(photograph.id);
  } catch (error) {
    if (error.kind !== "gone") throw error;
    await reopen();
    return ask(photograph.id);
  }
}

store.addEventListener("change", (event) => update(event.detail.live));

// ---- saving -------------------------------------------------------------------------------------------------------

async function download(kind) {
  const steps = store.steps(photograph.faces.length);
  if (!steps.length) return;
  byId("save-menu").open = false;
  say("Preparing the file…");
  try {
    const { blob, suffix } = await withPhotograph((id) => api.exported(id, steps, kind, kind === "picture" ? byId("format").value : null));
    const name = `${stem(photograph.file.name)}-${kind === "picture" ? "edited" : kind}${suffix}`;
    save(blob, name);
    say(`${name} is ready. The file says of itself that it was edited.`);
  } catch (error) {
    fail(error);
  }
}

function save(blob, name) {
  const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

function stem(name) {
  return name.replace(/\.[^.]*$/, "") || "picture";
}

// ---- messages -----------------------------------------------------------------------------------------------------

function say(text) {
  byId("status").textContent = text;
}

function notice(text) {
  byId("notice").textContent = text;
  byId("notice").hidden = !text;
}

function busy(text) {
  byId("busy").hidden = text === null;
  if (text !== null) byId("busy-text").textContent = text;
}

function fail(error) {
  const text = error.message.charAt(0).toUpperCase() + error.message.slice(1);
  if (byId("editor").hidden) alertOnWelcome(text);
  else notice(text);
}

function alertOnWelcome(text) {
  let note = byId("welcome-notice");
  if (!note) {
    note = Object.assign(document.createElement("div"), { id: "welcome-notice", className: "notice" });
    note.setAttribute("role", "alert");
    byId("drop").after(note);
  }
  note.textContent = text;
}

// ---- controls -----------------------------------------------------------------------------------------------------

function choose(name) {
  for (const tab of document.querySelectorAll('[role="tab"]')) {
    const selected = tab.id === `tab-${name}`;
    tab.setAttribute("aria-selected", String(selected));
    tab.tabIndex = selected ? 0 : -1;
    byId(tab.getAttribute("aria-controls")).hidden = !selected;
  }
  if (name === "many") many.describe();
  if (name === "new") newFaces.open();
  if (name === "edit") stage.fit(stage.fitted ?? true);
}

function fillOptions() {
  const { models, modes } = store.facts;
  byId("model").replaceChildren(new Option("Automatic: the best for each attribute", "auto"), ...models.map((model) => new Option(model.name)));
  byId("model").value = store.value.model;
  for (const mode of [{ name: "auto" }, ...modes]) {
    const [title, text] = MODES[mode.name] ?? [label(mode.name), ""];
    const row = Object.assign(document.createElement("label"), { className: "mode" });
    const input = Object.assign(document.createElement("input"), { type: "radio", name: "mode", value: mode.name });
    input.addEventListener("change", () => store.change({ mode: mode.name }));
    const words = document.createElement("span");
    words.append(Object.assign(document.createElement("b"), { textContent: title }), document.createElement("br"), text);
    row.append(input, words);
    byId("modes").append(row);
  }
}

function followOptions() {
  byId("model").value = store.value.model;
  for (const input of document.querySelectorAll('input[name="mode"]')) input.checked = input.value === store.value.mode;
  const facts = store.facts.models.find((model) => model.name === store.value.model);
  byId("model-hint").textContent = facts ? `${facts.method}, ${facts.image_size} pixels, ${facts.attributes.length} attribute${facts.attributes.length > 1 ? "s" : ""}.`
    : "Attributes of several models are edited one model after the other.";
  if (sliders.built !== store.value.model) {
    sliders.built = store.value.model;
    sliders.build();
    if (photograph) sliders.enable(photograph.faces.length > 0);
  }
}

function setView(name) {
  view = name;
  for (const button of document.querySelectorAll("[data-view]")) button.setAttribute("aria-pressed", String(button.dataset.view === name));
  show();
}

function toggleWipe() {
  const on = stage.wipe === null;
  byId("wipe").setAttribute("aria-pressed", String(on));
  const face = photograph.faces[sliders.face === "all" ? 0 : sliders.face];
  stage.root.classList.toggle("quiet", on || store.steps(photograph.faces.length).length > 0);
  stage.setWipe(on ? (face ? (face.preview_box[0] + face.preview_box[2]) / 2 / photograph.preview[0] : 0.5) : null);
  if (on) byId("wiper").focus();
}

function wire() {
  byId("choose").onclick = byId("another").onclick = () => byId("file").click();
  byId("file").onchange = (event) => {
    open(event.target.files[0]);
    event.target.value = "";
  };
  byId("camera").onclick = async () => open(await takePhotograph());
  byId("example").onclick = example;
  byId("home").onclick = (event) => {
    event.preventDefault();
    choose("edit");
    if (photograph) byId("stage").focus();
  };
  byId("many-choose").onclick = () => byId("files").click();
  byId("files").onchange = (event) => {
    many.run([...event.target.files]);
    event.target.value = "";
  };
  byId("reset").onclick = () => store.change({ faces: {} });
  byId("undo").onclick = () => store.undo();
  byId("redo").onclick = () => store.redo();
  byId("wipe").onclick = toggleWipe;
  byId("zoom-in").onclick = () => stage.zoomBy(1.5);
  byId("zoom-out").onclick = () => stage.zoomBy(1 / 1.5);
  byId("zoom-fit").onclick = () => stage.fit(true);
  stage.onZoom = (zoom) => {
    byId("zoom-level").textContent = `${Math.round(100 * zoom)} %`;
  };
  for (const button of document.querySelectorAll("[data-view]")) button.onclick = () => setView(button.dataset.view);
  for (const button of document.querySelectorAll("[data-export]")) button.onclick = () => download(button.dataset.export);
  byId("download").onclick = () => download("picture");
  byId("link").onclick = async () => {
    try {
      await navigator.clipboard.writeText(location.href);
      say("The link is copied. It holds the settings, not the photograph.");
    } catch {
      say(location.href);
    }
    byId("save-menu").open = false;
  };
  byId("model").onchange = () => store.change({ model: byId("model").value });
  byId("help").onclick = () => byId("help-dialog").showModal();
  byId("help-close").onclick = () => byId("help-dialog").close();
  store.addEventListener("change", followOptions);
  const tabs = [...document.querySelectorAll('[role="tab"]')];
  tabs.forEach((tab, index) => {
    tab.onclick = () => choose(tab.id.slice(4));
    tab.onkeydown = (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      const next = tabs[(index + step + tabs.length) % tabs.length];
      next.focus();
      next.click();
    };
  });
  wireFiles();
  wireKeys();
}

function wireFiles() {
  let depth = 0;
  const isMany = () => !byId("view-many").hidden;
  window.addEventListener("dragenter", () => {
    depth += 1;
    document.body.classList.add("dragging");
  });
  window.addEventListener("dragleave", () => {
    depth -= 1;
    if (depth <= 0) document.body.classList.remove("dragging");
  });
  window.addEventListener("dragover", (event) => event.preventDefault());
  window.addEventListener("drop", (event) => {
    event.preventDefault();
    depth = 0;
    document.body.classList.remove("dragging");
    const files = [...(event.dataTransfer?.files ?? [])];
    if (!files.length) return;
    if (isMany() || files.length > 1) {
      choose("many");
      many.run(files);
    } else {
      choose("edit");
      open(files[0]);
    }
  });
  window.addEventListener("paste", (event) => {
    const file = [...(event.clipboardData?.files ?? [])][0];
    if (!file) return;
    choose("edit");
    open(file);
  });
}

function wireKeys() {
  window.addEventListener("keydown", (event) => {
    if (event.target.matches("input:not([type=range]):not([type=radio]), select, textarea") || document.querySelector("dialog[open]")) return;
    const key = event.key.toLowerCase();
    if ((event.ctrlKey || event.metaKey) && (key === "z" || key === "y")) {
      event.preventDefault();
      if (key === "y" || event.shiftKey) store.redo();
      else store.undo();
    }
    if (event.ctrlKey || event.metaKey || event.altKey || !photograph || byId("editor").hidden) return;
    if (key === "c") stage.hold(true);
    else if (key === "w") toggleWipe();
    else if (key === "+" || key === "=") stage.zoomBy(1.5);
    else if (key === "-") stage.zoomBy(1 / 1.5);
    else if (key === "0") stage.fit(true);
  });
  window.addEventListener("keyup", (event) => event.key.toLowerCase() === "c" && stage.hold(false));
  window.addEventListener("blur", () => stage.hold(false));
  window.addEventListener("pagehide", () => photograph && api.closePhotograph(photograph.id));
  window.addEventListener("hashchange", () => {
    store.read(location.hash.slice(1));
    store.tell(false);
  });
}

function wireTheme() {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const apply = () => {
    document.documentElement.dataset.theme = localStorage.getItem("visagist-theme") ?? (dark.matches ? "dark" : "light");
  };
  dark.addEventListener("change", apply);
  byId("theme").onclick = () => {
    localStorage.setItem("visagist-theme", document.documentElement.dataset.theme === "dark" ? "light" : "dark");
    apply();
  };
  apply();
}

function wireToken() {
  api.onTokenNeeded(() => new Promise((resolve) => {
    const dialog = byId("token-dialog");
    byId("token-form").onsubmit = () => resolve(byId("token").value.trim());
    dialog.oncancel = (event) => event.preventDefault();
    if (!dialog.open) dialog.showModal();
  }));
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (given) {
    api.useToken(given);
    history.replaceState(null, "", location.pathname);
  }
}

async function start() {
  wireTheme();
  wireToken();
  wire();
  const local = ["localhost", "127.0.0.1", "[::1]"].includes(location.hostname);
  byId("privacy").textContent = local ? "The photograph stays on this computer, and no copy is kept."
    : "The photograph is sent to this server, held in memory while you work on it, and kept nowhere.";
  try {
    store.use(await api.models());
    store.read(location.hash.slice(1));
    fillOptions();
    followOptions();
    showNoScores(reads, "Nothing yet. Move a slider to see what it does.");
    document.body.dataset.ready = "yes";
  } catch (error) {
    fail(error);
  }
}

start();
