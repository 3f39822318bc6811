// What a network reads before and after: the attributes that were asked for, and what else moved along.

import { label } from "./store.js";

const NOTABLE = 0.1;
const MOST = 8;
const UNSAID = new Set(["Attractive"]); // a matter of the annotators' taste, and none of what changed

const percent = (share) => `${Math.round(100 * share)} %`;
const element = (tag, className, text) => Object.assign(document.createElement(tag), { className, textContent: text ?? "" });

export function showScores({ reads, by, warnings }, answer, store, one) {
  const rows = [];
  const notes = [];
  for (const face of answer.faces) {
    const asked = new Set([...Object.keys(store.value.faces.all ?? {}), ...Object.keys(store.value.faces[face.number] ?? {})]);
    if (!one) rows.push(element("p", "also", `Face ${face.number + 1}`));
    for (const name of asked) if (name in face.after) rows.push(line(name, face.before[name], face.after[name]));
    const others = Object.keys(face.after)
      .filter((name) => !asked.has(name) && !UNSAID.has(name) && Math.abs(face.after[name] - face.before[name]) >= NOTABLE)
      .sort((a, b) => Math.abs(face.after[b] - face.before[b]) - Math.abs(face.after[a] - face.before[a]))
      .slice(0, MOST);
    rows.push(element("p", "also", others.length ? "What else changed" : "Nothing else changed by more than 10 points."));
    if (others.length) rows.push(changes(face, others));
    for (const warning of face.warnings) notes.push(one ? warning : `Face ${face.number + 1}: ${warning}`);
  }
  reads.replaceChildren(...rows);
  by.textContent = answer.by ? `as ${answer.by} reads it` : "";
  warnings.replaceChildren(...notes.map((note) => element("li", "", note.charAt(0).toUpperCase() + note.slice(1))));
}

export function showNoScores({ reads, by, warnings }, text, notes = []) {
  reads.replaceChildren(element("p", "hint", text));
  by.textContent = "";
  warnings.replaceChildren(...notes.map((note) => element("li", "", note)));
}

function line(name, before, after) {
  const root = element("div", "read");
  const text = element("div", "read-line");
  text.append(element("span", "", label(name)), element("span", "", `${percent(before)} → ${percent(after)}`));
  const bar = element("div", "read-bar");
  bar.setAttribute("aria-hidden", "true");
  const now = document.createElement("i");
  const then = document.createElement("b");
  now.style.width = `${100 * after}%`;
  then.style.left = `calc(${100 * before}% - ${3 * before}px)`;
  bar.append(now, then);
  root.append(text, bar);
  return root;
}

function changes(face, names) {
  const list = element("ul", "also-list");
  for (const name of names) {
    const points = Math.round(100 * (face.after[name] - face.before[name]));
    const item = element("li", "");
    item.append(`${label(name)} `, element("span", points > 0 ? "up" : "down", `${points > 0 ? "+" : "−"}${Math.abs(points)}`));
    list.append(item);
  }
  return list;
}
