// The table of results: a grid sorted by any column, with arrow-key navigation. Only visible rows are in the document,
// as there may be thousands.

import { inWords, shown } from "./boxes.js";
import { Thumbnails } from "./thumbnails.js";
import { compareNames, percent } from "./text.js";

const ROW_HEIGHT = 3.4; // rem
const OVERSCAN = 8; // rows above and below the visible ones

const ORDERS = {
  number: (a, b) => a.number - b.number,
  name: (a, b) => compareNames(a.name, b.name),
  label: (a, b) => compareNames(a.label, b.label),
  probability: (a, b) => a.probability - b.probability,
};

const answered = (image) => Boolean(image.answer?.predictions ?? image.answer?.boxes);

export class ResultsTable {
  #table;
  #body;
  #heads;
  #choose;
  #thumbnails = new Thumbnails();
  #images = []; // as they are sorted
  #rows = new Map(); // rows in the document, by image
  #chosen = null;
  #drawRequest = 0; // id of the requested animation frame
  #threshold = 0;

  /** `choose(image, walking)` is called when a row is selected; `walking`: by an arrow key. */
  constructor(table, choose) {
    this.#table = table;
    this.#body = table.tBodies[0];
    this.#heads = [...table.tHead.rows[0].cells];
    this.#choose = choose;
    for (const head of this.#heads) head.firstElementChild.addEventListener("click", () => this.#turn(head));
    this.#body.addEventListener("click", (event) => this.#click(event));
    this.#body.addEventListener("keydown", (event) => this.#walk(event));
    const drawSoon = () => (this.#drawRequest ||= requestAnimationFrame(() => this.#draw()));
    for (const name of ["scroll", "resize"]) window.addEventListener(name, drawSoon, { passive: true });
  }

  /** The images in displayed order. */
  get images() {
    return this.#images;
  }

  /** "classes" or "boxes", which name the columns. */
  set task(task) {
    const [, , label, probability] = this.#heads.map((head) => head.firstElementChild);
    [label.textContent, probability.textContent] = task === "boxes" ? ["Boxes", "Best score"]
      : ["Prediction", "Probability"];
  }

  /** The score below which boxes are left out. */
  set threshold(threshold) {
    this.#threshold = threshold;
    for (const image of this.#rows.keys()) this.update(image);
  }

  add(images) {
    this.#images.push(...images);
    this.#draw();
  }

  /** Show the answer for an image. */
  update(image) {
    const row = this.#rows.get(image);
    if (!row) return;
    const [thumbnail, , label, probability] = row.cells;
    const error = image.answer?.error;
    const best = answered(image) ? this.#best(image.answer) : {};
    label.firstElementChild.textContent = label.title = best.label ?? error ?? "";
    label.classList.toggle("error", Boolean(error));
    probability.textContent = best.probability ? percent(best.probability) : "";
    probability.hidden = Boolean(error);
    if (answered(image)) this.#thumbnails.want(thumbnail.firstElementChild, image);
  }

  /** What the row of an answer says: {label, probability}. */
  #best({ predictions, boxes }) {
    if (predictions) return predictions[0];
    const left = shown({ boxes }, this.#threshold);
    return { label: inWords(left), probability: left[0]?.score ?? 0 };
  }

  clear() {
    this.#images = [];
    this.#chosen = null;
    for (const head of this.#heads) head.removeAttribute("aria-sort");
    this.#draw();
  }

  /** Select the row of an image. Only this row is focusable, so that thousands are one Tab stop. */
  mark(image) {
    this.#chosen = image;
    this.#draw();
  }

  /** The image this many rows further, wrapping around. */
  neighbor(image, rows) {
    const count = this.#images.length;
    return this.#images[(this.#images.indexOf(image) + rows + count) % count];
  }

  /** Sort by the current column, for new answers. Images without an answer come last in both directions. */
  sort() {
    const head = this.#heads.find((one) => one.hasAttribute("aria-sort"));
    if (!head) return;
    const [key, sign] = [head.dataset.key, head.getAttribute("aria-sort") === "ascending" ? 1 : -1];
    const ofAnswer = key === "label" || key === "probability";
    this.#images.sort((a, b) => {
      if (ofAnswer && !(answered(a) && answered(b))) return answered(b) - answered(a) || a.number - b.number;
      const [one, other] = ofAnswer ? [this.#best(a.answer), this.#best(b.answer)] : [a, b];
      return sign * ORDERS[key](one, other) || a.number - b.number;
    });
    const focused = this.#body.contains(document.activeElement);
    this.#draw();
    if (focused) this.#rows.get(this.#chosen).focus({ preventScroll: true }); // a moved row loses it
  }

  /** Insert the visible rows and the selected one, which may have the focus; remove the others. */
  #draw() {
    this.#drawRequest = 0;
    const height = ROW_HEIGHT * parseFloat(getComputedStyle(document.documentElement).fontSize);
    const above = -this.#body.getBoundingClientRect().top;
    const first = Math.max(0, Math.floor(above / height) - OVERSCAN);
    const end = Math.min(this.#images.length, Math.ceil((above + window.innerHeight) / height) + OVERSCAN);
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
      row.style.top = `${ROW_HEIGHT * at}rem`;
      row.setAttribute("aria-rowindex", at + 2); // the header is row 1
      row.setAttribute("aria-selected", this.#images[at] === this.#chosen);
      if (this.#images[at] === this.#chosen) row.tabIndex = 0;
      else row.removeAttribute("tabindex");
    }
    this.#body.style.height = `${ROW_HEIGHT * this.#images.length}rem`;
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
  row.setAttribute("role", "row"); // in a grid, not every browser infers it
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
