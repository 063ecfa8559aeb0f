// The sheet of many images: a grid that is sorted by any column and walked through with the arrow keys. Only the rows
// in sight are in the document, for there may be thousands.

import { Thumbnails } from "./thumbnails.js";
import { inOrder, percent } from "./words.js";

const ROW = 3.4; // rem, the height of a row
const BEYOND = 8; // rows above and below those in sight

const ORDERS = {
  number: (a, b) => a.number - b.number,
  name: (a, b) => inOrder(a.name, b.name),
  label: (a, b) => inOrder(best(a).label, best(b).label),
  probability: (a, b) => best(a).probability - best(b).probability,
};

const best = (image) => image.answer.predictions[0];
const answered = (image) => Boolean(image.answer?.predictions);

export class Sheet {
  #table;
  #body;
  #heads;
  #choose;
  #thumbnails = new Thumbnails();
  #images = []; // as they are sorted
  #rows = new Map(); // of the images that have one in the document
  #chosen = null;
  #drawing = 0; // the frame that the rows are to be drawn in

  /** `choose(image, walking)` is called when a row is chosen: by the arrow keys (walking) or for good. */
  constructor(table, choose) {
    this.#table = table;
    this.#body = table.tBodies[0];
    this.#heads = [...table.tHead.rows[0].cells];
    this.#choose = choose;
    for (const head of this.#heads) head.firstElementChild.addEventListener("click", () => this.#turn(head));
    this.#body.addEventListener("click", (event) => this.#click(event));
    this.#body.addEventListener("keydown", (event) => this.#walk(event));
    const drawSoon = () => (this.#drawing ||= requestAnimationFrame(() => this.#draw()));
    for (const name of ["scroll", "resize"]) window.addEventListener(name, drawSoon, { passive: true });
  }

  /** The images in the order of the sheet. */
  get images() {
    return this.#images;
  }

  add(images) {
    this.#images.push(...images);
    this.#draw();
  }

  /** Show what is known of the image now. */
  update(image) {
    const row = this.#rows.get(image);
    if (!row) return;
    const [thumbnail, , label, probability] = row.cells;
    const error = image.answer?.error;
    label.firstElementChild.textContent = label.title = answered(image) ? best(image).label : error ?? "";
    label.classList.toggle("error", Boolean(error));
    probability.textContent = answered(image) ? percent(best(image).probability) : "";
    probability.hidden = Boolean(error);
    if (answered(image)) this.#thumbnails.want(thumbnail.firstElementChild, image);
  }

  clear() {
    this.#images = [];
    this.#chosen = null;
    for (const head of this.#heads) head.removeAttribute("aria-sort");
    this.#draw();
  }

  /** Mark the row of the image; the only one that can have the focus, so that thousands are one stop of Tab. */
  mark(image) {
    this.#chosen = image;
    this.#draw();
  }

  /** The image so many rows on from that one, around the ends. */
  beside(image, rows) {
    const count = this.#images.length;
    return this.#images[(this.#images.indexOf(image) + rows + count) % count];
  }

  /** Sort again as the heads say, for answers that have come since; those without one are last either way. */
  sort() {
    const head = this.#heads.find((one) => one.hasAttribute("aria-sort"));
    if (!head) return;
    const [key, sign] = [head.dataset.key, head.getAttribute("aria-sort") === "ascending" ? 1 : -1];
    const ofAnswer = key === "label" || key === "probability";
    this.#images.sort((a, b) => {
      if (ofAnswer && !(answered(a) && answered(b))) return answered(b) - answered(a) || a.number - b.number;
      return sign * ORDERS[key](a, b) || a.number - b.number;
    });
    const focused = this.#body.contains(document.activeElement);
    this.#draw();
    if (focused) this.#rows.get(this.#chosen).focus({ preventScroll: true }); // which a row that is moved loses
  }

  /** Put the rows in sight into the document, and the chosen one, which may have the focus; take out the others. */
  #draw() {
    this.#drawing = 0;
    const height = ROW * parseFloat(getComputedStyle(document.documentElement).fontSize);
    const above = -this.#body.getBoundingClientRect().top;
    const first = Math.max(0, Math.floor(above / height) - BEYOND);
    const end = Math.min(this.#images.length, Math.ceil((above + window.innerHeight) / height) + BEYOND);
    const wanted = new Set();
    for (let at = first; at < end; at++) wanted.add(at);
    if (this.#chosen) wanted.add(this.#images.indexOf(this.#chosen));
    const places = [...wanted].sort((a, b) => a - b);
    const images = new Set(places.map((at) => this.#images[at]));
    for (const [image, row] of this.#rows) {
      if (!images.has(image)) this.#takeOut(image, row);
    }
    let next = this.#body.firstElementChild;
    for (const at of places) {
      const row = this.#rowOf(this.#images[at]);
      if (row === next) next = next.nextElementSibling;
      else this.#body.insertBefore(row, next);
      row.style.top = `${ROW * at}rem`;
      row.setAttribute("aria-rowindex", at + 2); // the heads are the first
      row.setAttribute("aria-selected", this.#images[at] === this.#chosen);
      if (this.#images[at] === this.#chosen) row.tabIndex = 0;
      else row.removeAttribute("tabindex");
    }
    this.#body.style.height = `${ROW * this.#images.length}rem`;
    this.#table.setAttribute("aria-rowcount", this.#images.length + 1);
  }

  #rowOf(image) {
    const known = this.#rows.get(image);
    if (known) return known;
    const row = newRow(image.name);
    this.#rows.set(image, row);
    this.update(image);
    return row;
  }

  #takeOut(image, row) {
    this.#thumbnails.drop(row.cells[0].firstElementChild);
    this.#rows.delete(image);
    row.remove();
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
    if (row) this.#take(placeOf(row), false);
  }

  #walk(event) {
    const last = this.#images.length - 1;
    const at = placeOf(event.target);
    const [up, down] = [Math.max(at - 1, 0), Math.min(at + 1, last)];
    const to = { ArrowDown: down, ArrowUp: up, Home: 0, End: last, Enter: at, " ": at }[event.key];
    if (to === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    this.#take(to, event.key !== "Enter" && event.key !== " ");
  }

  #take(at, walking) {
    const image = this.#images[at];
    this.mark(image);
    this.#rows.get(image).focus({ preventScroll: !walking });
    this.#choose(image, walking);
  }
}

function placeOf(row) {
  return Number(row.getAttribute("aria-rowindex")) - 2;
}

function newRow(name) {
  const row = document.createElement("tr");
  row.setAttribute("role", "row"); // as grids, not every browser takes rows for rows
  const [thumbnail, file, label] = [0, 1, 2, 3].map(() => row.insertCell());
  for (const cell of row.cells) cell.setAttribute("role", "gridcell");
  thumbnail.append(document.createElement("canvas"));
  for (const cell of [file, label]) {
    const text = document.createElement("span");
    text.className = "two-lines";
    cell.append(text);
  }
  file.firstElementChild.textContent = file.title = name;
  return row;
}
