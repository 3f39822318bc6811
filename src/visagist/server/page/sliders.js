// One slider an attribute, in calibrated units: −1 takes it away, +1 gives it, 0 leaves it.

import { label, signed } from "./store.js";

const FIRST = ["Smiling", "Eyeglasses", "Facial_Hair", "Heavy_Makeup", "Blond_Hair", "Young"];
const SHORT_LIST = 6;

export class Sliders {
  constructor(root, more, store) {
    this.root = root;
    this.more = more;
    this.store = store;
    this.face = "all";
    this.rows = new Map();
    more.addEventListener("click", () => {
      this.open = !this.open;
      this.arrange();
    });
  }

  build() {
    const attributes = this.store.attributes();
    const rank = (name) => (FIRST.includes(name) ? FIRST.indexOf(name) : FIRST.length);
    const sorted = [...attributes].sort((a, b) => rank(a) - rank(b) || label(a).localeCompare(label(b)));
    this.rows = new Map(sorted.map((name) => [name, this.row(name)]));
    this.root.replaceChildren(...[...this.rows.values()].map((row) => row.root));
    this.arrange();
    this.update();
  }

  arrange() {
    const rest = this.rows.size - SHORT_LIST;
    [...this.rows].forEach(([name, row], index) => {
      row.root.hidden = !this.open && index >= SHORT_LIST && !this.store.strength(this.face, name);
    });
    this.more.hidden = rest <= 0;
    this.more.textContent = this.open ? "Fewer attributes" : `More attributes (${rest})`;
    this.more.setAttribute("aria-expanded", String(Boolean(this.open)));
  }

  row(name) {
    const root = document.createElement("div");
    root.className = "slider";
    const id = `slider-${name}`;
    const title = Object.assign(document.createElement("label"), { htmlFor: id, textContent: label(name) });
    const output = Object.assign(document.createElement("output"), { htmlFor: id });
    const clear = Object.assign(document.createElement("button"), { type: "button", className: "clear", textContent: "×" });
    clear.setAttribute("aria-label", `${label(name)}: back to the middle`);
    const track = Object.assign(document.createElement("div"), { className: "track" });
    const input = Object.assign(document.createElement("input"), { type: "range", id, min: -1, max: 1, step: 0.05, value: 0 });
    track.append(input);
    const note = Object.assign(document.createElement("p"), { className: "note", hidden: true });
    root.append(title, output, clear, track, note);
    const value = () => Number(input.value);
    input.addEventListener("input", () => this.store.set(this.face, name, value(), true));
    input.addEventListener("change", () => this.store.set(this.face, name, value(), false));
    input.addEventListener("keydown", (event) => {
      if (event.key !== "Delete" && event.key !== "Backspace") return;
      event.preventDefault();
      this.store.set(this.face, name, 0);
    });
    clear.addEventListener("click", () => {
      this.store.set(this.face, name, 0);
      input.focus();
    });
    return { root, input, output, note };
  }

  update() {
    for (const [name, row] of this.rows) {
      const strength = this.store.strength(this.face, name);
      if (Number(row.input.value) !== strength) row.input.value = strength;
      row.output.textContent = signed(strength);
      row.input.setAttribute("aria-valuetext", strength === 0 ? "as it is" : `${signed(strength)}, ${strength > 0 ? "added" : "taken away"}`);
      row.root.classList.toggle("moved", strength !== 0);
      const share = 50 + 50 * strength;
      row.input.style.setProperty("--from", `${Math.min(50, share)}%`);
      row.input.style.setProperty("--to", `${Math.max(50, share)}%`);
      const model = this.store.facts.models.find((model) => model.name === this.store.modelOf(name));
      const short = strength !== 0 && Math.abs(strength) >= 0.9 && model?.falls_short.includes(name + (strength > 0 ? "+" : "-"));
      row.note.hidden = !short;
      row.note.textContent = short ? "Even at the end this model shows it less clearly than real faces do." : "";
    }
    if (!this.open) this.arrange();
  }

  enable(is) {
    for (const row of this.rows.values()) row.input.disabled = !is;
  }
}
