// What is asked for: strengths by face, model and mode. It has a history, and it stands in the page's address.

const AUTO = "auto";

export class Store extends EventTarget {
  constructor() {
    super();
    this.facts = { models: [], best: {}, modes: [] };
    this.value = { model: AUTO, mode: AUTO, faces: {} };
    this.past = [];
    this.future = [];
  }

  use(facts) {
    this.facts = facts;
  }

  get model() {
    return this.value.model;
  }

  attributes() {
    if (this.value.model !== AUTO) return this.facts.models.find((model) => model.name === this.value.model)?.attributes ?? [];
    return Object.keys(this.facts.best);
  }

  modelOf(attribute) {
    return this.value.model === AUTO ? this.facts.best[attribute] : this.value.model;
  }

  strength(face, attribute) {
    return this.value.faces[face]?.[attribute] ?? 0;
  }

  // Moves one slider. A `live` move is one of many while it is dragged; the one after them goes into the history.
  set(face, attribute, strength, live = false) {
    const faces = structuredClone(this.value.faces);
    faces[face] = { ...(faces[face] ?? {}), [attribute]: strength };
    if (!strength) delete faces[face][attribute];
    if (!Object.keys(faces[face]).length) delete faces[face];
    this.change({ faces }, live);
  }

  change(part, live = false) {
    this.before ??= this.value;
    this.value = { ...this.value, ...part };
    if (!live) this.commit();
    this.tell(live);
  }

  commit() {
    if (this.before && JSON.stringify(this.before) !== JSON.stringify(this.value)) {
      this.past.push(this.before);
      if (this.past.length > 200) this.past.shift();
      this.future = [];
    }
    this.before = null;
    this.write();
  }

  undo() {
    if (!this.past.length) return;
    this.future.push(this.value);
    this.value = this.past.pop();
    this.write();
    this.tell(false);
  }

  redo() {
    if (!this.future.length) return;
    this.past.push(this.value);
    this.value = this.future.pop();
    this.write();
    this.tell(false);
  }

  // The settings without a history, for another photograph.
  forget() {
    this.past = [];
    this.future = [];
    this.before = null;
  }

  tell(live) {
    this.dispatchEvent(new CustomEvent("change", { detail: { live } }));
  }

  // What the server does, in order: for each face, one step a model.
  steps(faces) {
    const steps = [];
    const keys = Object.keys(this.value.faces).sort((a, b) => (a === "all" ? -1 : b === "all" ? 1 : a - b));
    for (const key of keys) {
      if (key !== "all" && Number(key) >= faces) continue;
      steps.push(...this.stepsOf(key === "all" ? "all" : Number(key), this.value.faces[key]));
    }
    return steps;
  }

  // The steps of one face: what a model can do at its best, and what it can do otherwise, are steps of their own.
  stepsOf(face, settings) {
    const steps = new Map();
    for (const [attribute, strength] of Object.entries(settings)) {
      const model = this.modelOf(attribute);
      if (model === undefined || !this.attributes().includes(attribute)) continue;
      const refines = this.facts.models.find((facts) => facts.name === model).refines.includes(attribute);
      const key = this.value.mode === AUTO ? `${model} ${refines}` : model;
      const step = steps.get(key) ?? { face, model, set: {}, mode: this.value.mode === AUTO ? null : this.value.mode };
      step.set[attribute] = strength;
      steps.set(key, step);
    }
    return [...steps.values()];
  }

  write() {
    const parts = new URLSearchParams();
    if (this.value.model !== AUTO) parts.set("model", this.value.model);
    if (this.value.mode !== AUTO) parts.set("mode", this.value.mode);
    for (const [face, set] of Object.entries(this.value.faces)) {
      parts.set(face === "all" ? "all" : `face${Number(face) + 1}`, Object.entries(set).map(([name, strength]) => `${name}=${strength}`).join(" "));
    }
    const text = parts.toString();
    history.replaceState(null, "", text ? `#${text}` : location.pathname + location.search);
  }

  // Takes what the address says, as far as it means something here.
  read(text) {
    const parts = new URLSearchParams(text);
    const known = new Set(Object.keys(this.facts.best));
    const value = { model: AUTO, mode: AUTO, faces: {} };
    if (this.facts.models.some((model) => model.name === parts.get("model"))) value.model = parts.get("model");
    if (this.facts.modes.some((mode) => mode.name === parts.get("mode"))) value.mode = parts.get("mode");
    for (const [key, text] of parts) {
      const face = key === "all" ? "all" : /^face[1-9]\d{0,3}$/.test(key) ? Number(key.slice(4)) - 1 : null;
      if (face === null) continue;
      for (const pair of text.split(" ")) {
        const [name, number] = pair.split("=");
        const strength = Math.max(-1, Math.min(1, Number(number)));
        if (known.has(name) && strength) value.faces[face] = { ...(value.faces[face] ?? {}), [name]: strength };
      }
    }
    this.value = value;
  }
}

const LABELS = {
  Smiling: "Smile", Eyeglasses: "Glasses", Facial_Hair: "Facial hair", No_Beard: "No beard", Heavy_Makeup: "Make-up",
  Male: "Male", Young: "Young", Mouth_Slightly_Open: "Mouth open", Wearing_Hat: "Hat", Wearing_Lipstick: "Lipstick",
  High_Cheekbones: "High cheekbones", "5_o_Clock_Shadow": "Stubble",
};

export const label = (name) => LABELS[name] ?? name.charAt(0) + name.slice(1).replaceAll("_", " ").toLowerCase();

export const signed = (strength) => (strength > 0 ? `+${strength.toFixed(2)}` : strength < 0 ? `−${(-strength).toFixed(2)}` : "0");
