// Many files, one after the other, with the settings of the sliders.

import * as api from "./api.js";
import { label, signed } from "./store.js";
import { zip } from "./zip.js";

export class Many {
  constructor(store, { save, stem }) {
    this.store = store;
    this.save = save;
    this.stem = stem;
    this.list = document.getElementById("many-list");
    this.progress = document.getElementById("many-progress");
    this.count = document.getElementById("many-count");
    this.stop = document.getElementById("many-stop");
    this.get = document.getElementById("many-download");
    this.results = [];
    this.stop.addEventListener("click", () => {
      this.stopped = true;
    });
    this.get.addEventListener("click", async () => this.save(await zip(this.results), "visagist-edited.zip"));
  }

  describe() {
    const set = Object.entries(this.settings()).map(([name, strength]) => `${label(name)} ${signed(strength)}`);
    document.getElementById("many-choose").disabled = !set.length;
    document.getElementById("many-settings").textContent = set.length
      ? `Each face of each file gets: ${set.join(", ")}. Change it with the sliders under “Photograph”.`
      : "First move a slider under “Photograph”. Its settings are then used for all faces of all files.";
  }

  settings() {
    const faces = this.store.value.faces;
    return faces.all ?? faces[0] ?? {};
  }

  async run(files) {
    const steps = this.store.stepsOf("all", this.settings());
    if (!steps.length || this.running) return this.describe();
    this.running = true;
    this.stopped = false;
    document.getElementById("many-work").hidden = false;
    this.get.disabled = true;
    this.stop.disabled = false;
    const rows = files.map((file) => this.row(file));
    this.list.replaceChildren(...rows.map((row) => row.root));
    this.results = [];
    this.progress.max = files.length;
    for (const [index, file] of files.entries()) {
      if (this.stopped) break;
      this.progress.value = index;
      this.count.textContent = `${index} of ${files.length}`;
      await this.edit(file, steps, rows[index]);
    }
    const done = this.results.length;
    this.progress.value = this.stopped ? done : files.length;
    this.count.textContent = `${done} of ${files.length} edited${this.stopped ? ", stopped" : ""}`;
    this.get.disabled = !done;
    this.stop.disabled = true;
    this.running = false;
    return undefined;
  }

  async edit(file, steps, row) {
    row.what.textContent = "working…";
    let opened = null;
    try {
      opened = await api.openPhotograph(file);
      if (!opened.faces.length) throw new api.ServerError("no_face", "No face was found in it.", 422);
      const { blob, suffix } = await api.exported(opened.id, steps, "picture", null);
      const name = this.free(`${this.stem(file.name)}-edited${suffix}`);
      this.results.push({ name, blob });
      const image = new Image();
      image.alt = `${file.name}, edited`;
      image.src = URL.createObjectURL(blob);
      image.onerror = () => row.thumb.replaceChildren("no preview of this format");
      row.thumb.replaceChildren(image);
      row.what.textContent = opened.faces.length === 1 ? "1 face edited" : `${opened.faces.length} faces edited`;
      const link = Object.assign(document.createElement("button"), { className: "link", textContent: "Download" });
      link.setAttribute("aria-label", `Download ${name}`);
      link.addEventListener("click", () => this.save(blob, name));
      row.what.append(" · ", link);
    } catch (error) {
      row.thumb.textContent = "not edited";
      row.what.textContent = error.message.charAt(0).toUpperCase() + error.message.slice(1);
      row.what.classList.add("bad");
    } finally {
      if (opened) api.closePhotograph(opened.id);
    }
  }

  free(name) {
    const taken = new Set(this.results.map((result) => result.name));
    if (!taken.has(name)) return name;
    const dot = name.lastIndexOf(".");
    for (let number = 2; ; number += 1) {
      const other = `${name.slice(0, dot)}-${number}${name.slice(dot)}`;
      if (!taken.has(other)) return other;
    }
  }

  row(file) {
    const root = document.createElement("li");
    const thumb = Object.assign(document.createElement("div"), { className: "thumb", textContent: "waiting" });
    const text = Object.assign(document.createElement("div"), { className: "what" });
    const name = Object.assign(document.createElement("div"), { className: "name", textContent: file.name, title: file.name });
    const what = document.createElement("div");
    text.append(name, what);
    root.append(thumb, text);
    return { root, thumb, what };
  }
}
