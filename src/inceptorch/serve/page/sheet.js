// The sheet of many pictures: a table that is sorted by any column and walked through with the arrow keys.

import { Thumbnails } from "./thumbnails.js";
import { percent } from "./words.js";

const inWords = new Intl.Collator("en", { numeric: true });
const ORDERS = {
  number: (a, b) => a.number - b.number,
  name: (a, b) => inWords.compare(a.name, b.name),
  label: (a, b) => inWords.compare(best(a).label, best(b).label),
  probability: (a, b) => best(a).probability - best(b).probability,
};

const best = (picture) => picture.answer.predictions[0];
const answered = (picture) => Boolean(picture.answer?.predictions);

export class Sheet {
  #body;
  #heads;
  #choose;
  #thumbnails = new Thumbnails();
  #rows = new Map(); // of pictures
  #pictures = []; // as they are sorted
  #chosen = null;

  /** `choose(picture, walking)` is called when a row is chosen: by the arrow keys (walking) or for good. */
  constructor(table, choose) {
    this.#body = table.tBodies[0];
    this.#heads = [...table.tHead.rows[0].cells];
    this.#choose = choose;
    for (const head of this.#heads) head.firstElementChild.addEventListener("click", () => this.#turn(head));
    this.#body.addEventListener("click", (event) => this.#click(event));
    this.#body.addEventListener("keydown", (event) => this.#walk(event));
  }

  /** The pictures in the order of the sheet. */
  get pictures() {
    return this.#pictures;
  }

  add(pictures) {
    for (const picture of pictures) this.#rows.set(picture, newRow(picture));
    this.#pictures.push(...pictures);
    this.#body.append(...pictures.map((picture) => this.#rows.get(picture)));
    for (const picture of pictures) this.update(picture);
  }

  /** Show what is known of the picture now. */
  update(picture) {
    const row = this.#rows.get(picture);
    const [, , label, probability] = row.cells;
    const error = picture.answer?.error;
    label.firstElementChild.textContent = label.title = answered(picture) ? best(picture).label : error ?? "";
    label.classList.toggle("error", Boolean(error));
    label.colSpan = error ? 2 : 1;
    probability.hidden = Boolean(error);
    probability.textContent = answered(picture) ? percent(best(picture).probability) : "";
    if (answered(picture)) this.#thumbnails.watch(row, picture);
  }

  clear() {
    this.#rows.clear();
    this.#pictures = [];
    this.#chosen = null;
    this.#body.replaceChildren();
    for (const head of this.#heads) head.removeAttribute("aria-sort");
  }

  /** Mark the row of the picture; the only one that Tab stops at. */
  mark(picture) {
    for (const [one, chosen] of [[this.#chosen, false], [picture, true]]) {
      const row = this.#rows.get(one);
      if (!row) continue;
      row.classList.toggle("chosen", chosen);
      button(row).tabIndex = chosen ? 0 : -1;
      if (chosen) button(row).setAttribute("aria-current", "true");
      else button(row).removeAttribute("aria-current");
    }
    this.#chosen = picture;
  }

  /** The picture so many rows on from that one, around the ends. */
  beside(picture, rows) {
    const count = this.#pictures.length;
    return this.#pictures[(this.#pictures.indexOf(picture) + rows + count) % count];
  }

  /** Sort again as the heads say, for answers that have come since; those without one are last either way. */
  sort() {
    const head = this.#heads.find((one) => one.hasAttribute("aria-sort"));
    if (!head) return;
    const [key, sign] = [head.dataset.key, head.getAttribute("aria-sort") === "ascending" ? 1 : -1];
    const ofAnswer = key === "label" || key === "probability";
    const order = (a, b) => {
      if (ofAnswer && !(answered(a) && answered(b))) return answered(b) - answered(a) || a.number - b.number;
      return sign * ORDERS[key](a, b) || a.number - b.number;
    };
    this.#pictures.sort(order);
    const focused = document.activeElement;
    this.#body.append(...this.#pictures.map((picture) => this.#rows.get(picture)));
    if (this.#body.contains(focused)) focused.focus(); // which moving a row takes away
  }

  #turn(head) {
    const first = head.dataset.key === "probability" ? "descending" : "ascending";
    const other = first === "ascending" ? "descending" : "ascending";
    const turned = head.getAttribute("aria-sort") === first ? other : first;
    for (const one of this.#heads) one.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", turned);
    this.sort();
  }

  #click(event) {
    const row = event.target.closest("tr");
    if (!row) return;
    button(row).focus({ preventScroll: true });
    this.#choose(this.#pictures[row.sectionRowIndex], false);
  }

  #walk(event) {
    const row = event.target.closest("tr");
    const last = this.#pictures.length - 1;
    const at = row.sectionRowIndex;
    const to = { ArrowDown: Math.min(at + 1, last), ArrowUp: Math.max(at - 1, 0), Home: 0, End: last }[event.key];
    if (to === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    button(this.#body.rows[to]).focus();
    this.#choose(this.#pictures[to], true);
  }
}

function newRow(picture) {
  const row = document.createElement("tr");
  const [thumbnail, name, label] = [0, 1, 2, 3].map(() => row.insertCell());
  thumbnail.append(document.createElement("canvas"));
  const choose = document.createElement("button");
  choose.type = "button";
  choose.tabIndex = -1;
  choose.textContent = picture.name;
  choose.title = picture.name;
  for (const [cell, child] of [[name, choose], [label, document.createElement("span")]]) {
    child.className = "two-lines";
    cell.append(child);
  }
  return row;
}

function button(row) {
  return row.cells[1].firstElementChild;
}
