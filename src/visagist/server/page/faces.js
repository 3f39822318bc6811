// Faces of nobody: random ones, more like one, and the way between two.

import * as api from "./api.js";
import { label } from "./store.js";

const NUMBER = 18;
const SHOWN = ["Smiling", "Eyeglasses", "Facial_Hair", "No_Beard", "Male", "Young"];

export class NewFaces {
  constructor(store, onEdit) {
    this.store = store;
    this.onEdit = onEdit;
    this.model = document.getElementById("new-model");
    this.given = document.getElementById("new-given");
    this.grid = document.getElementById("new-grid");
    this.status = document.getElementById("new-status");
    this.actions = document.getElementById("new-actions");
    this.asked = {};
    this.picked = [];
    this.seed = Math.floor(Math.random() * 1e9);
    document.getElementById("new-more").addEventListener("click", () => this.sample());
    this.model.addEventListener("change", () => {
      this.asked = {};
      this.chips();
      this.sample();
    });
    document.getElementById("new-alike").addEventListener("click", () => this.alike());
    document.getElementById("new-between").addEventListener("click", () => this.between());
    document.getElementById("new-edit").addEventListener("click", () => this.onEdit(this.picked.at(-1)));
  }

  open() {
    if (this.model.options.length) return;
    const able = this.store.facts.models.filter((model) => model.can.includes("generate"));
    this.model.replaceChildren(...able.map((model) => new Option(model.name)));
    if (!able.length) {
      this.status.textContent = "No served model paints new faces.";
      return;
    }
    this.model.value = (able.find((model) => model.can.includes("classify_latent")) ?? able[0]).name;
    this.chips();
    this.sample();
  }

  get facts() {
    return this.store.facts.models.find((model) => model.name === this.model.value);
  }

  chips() {
    const names = this.facts.can.includes("classify") ? this.facts.attributes.filter((name) => SHOWN.includes(name)) : [];
    this.given.replaceChildren(...names.map((name) => {
      const button = Object.assign(document.createElement("button"), { type: "button" });
      const write = () => {
        const value = this.asked[name];
        button.textContent = value === undefined ? `${label(name)}: any` : value ? `${label(name)}: yes` : `${label(name)}: no`;
        button.setAttribute("aria-pressed", String(value !== undefined));
      };
      button.addEventListener("click", () => {
        const next = { undefined: 1, 1: 0, 0: undefined }[this.asked[name]];
        if (next === undefined) delete this.asked[name];
        else this.asked[name] = next;
        write();
      });
      write();
      return button;
    }));
  }

  sample() {
    this.seed += 1;
    return this.work("Painting faces…", () => api.sample({ model: this.model.value, number: NUMBER, seed: this.seed, set: this.asked }));
  }

  alike() {
    this.seed += 1;
    const picture = this.picked.at(-1);
    return this.work("Painting faces like this one…", () => api.alike({
      model: this.model.value, picture: picture.split(",")[1], number: NUMBER, seed: this.seed,
    }));
  }

  between() {
    const pictures = this.picked.map((address) => address.split(",")[1]);
    return this.work("Going from one to the other…", () => api.between({ model: this.model.value, pictures, number: 12 }));
  }

  async work(text, ask) {
    this.status.textContent = text;
    try {
      const answer = await ask();
      this.show(answer.faces);
      this.status.textContent = `${answer.faces.length} faces that a model painted. None of these people exists.`;
    } catch (error) {
      this.status.textContent = error.message;
    }
  }

  show(faces) {
    this.picked = [];
    this.grid.replaceChildren(...faces.map((address, index) => {
      const button = Object.assign(document.createElement("button"), { type: "button" });
      const image = Object.assign(new Image(), { src: address, alt: `Painted face ${index + 1}` });
      button.append(image);
      button.setAttribute("aria-pressed", "false");
      button.dataset.address = index;
      button.addEventListener("click", () => {
        if (this.picked.includes(address)) this.picked = this.picked.filter((other) => other !== address);
        else this.picked = [...this.picked, address].slice(-2);
        this.mark(faces);
      });
      return button;
    }));
    this.mark(faces);
  }

  mark(faces) {
    [...this.grid.children].forEach((button, index) => {
      const order = this.picked.indexOf(faces[index]);
      button.setAttribute("aria-pressed", String(order >= 0));
      button.querySelector("span")?.remove();
      if (order >= 0) button.append(Object.assign(document.createElement("span"), { textContent: order + 1 }));
    });
    this.actions.hidden = !this.picked.length;
    const two = this.picked.length === 2;
    document.getElementById("new-between").disabled = !two || !this.facts.can.includes("autoencode");
    document.getElementById("new-alike").disabled = two || !this.facts.can.includes("autoencode");
    document.getElementById("new-edit").disabled = two;
  }
}
