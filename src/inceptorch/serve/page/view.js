// One image: the crop that the network saw, its predictions, and the activation map of a class; or its boxes.

import { color, counted, drawBoxes, shown } from "./boxes.js";
import { drawLegend, drawMap } from "./map.js";
import { count, percent } from "./text.js";

const byId = (id) => document.getElementById(id);

function place(element, values) {
  for (const [name, value] of Object.entries(values)) element.style.setProperty(name, value);
}

export class View {
  #image = null;
  #address = "";
  #model = null;
  #threshold = 0;

  constructor() {
    drawLegend(byId("legend"));
    byId("opacity").addEventListener("input", () => this.#fade());
    byId("classes").addEventListener("change", (event) => this.#drawMap(Number(event.target.value)));
    byId("image").addEventListener("load", () => this.#shape());
    byId("image").addEventListener("error", () => this.#shape());
    this.#fade();
  }

  get image() {
    return this.#image;
  }

  /** The model that answers, one of the server's. */
  set model(model) {
    this.#model = model;
  }

  get threshold() {
    return this.#threshold;
  }

  /** The score below which boxes are left out. */
  set threshold(threshold) {
    this.#threshold = threshold;
    byId("threshold").value = Math.round(100 * threshold);
    byId("threshold").setAttribute("aria-valuetext", percent(threshold));
    byId("least").textContent = percent(threshold);
    if (this.#image?.answer?.boxes) this.#showBoxes(this.#image.answer);
  }

  /** Show the image ({file, name, answer}); null hides the view. */
  show(image) {
    byId("view").hidden = !image;
    if (image !== this.#image) this.#load(image);
    this.#image = image;
    if (!image) return;
    const { answer, name } = image;
    byId("name").textContent = name;
    byId("error").hidden = !answer?.error;
    byId("error").textContent = answer?.error ? `${name} ${answer.error}` : "";
    byId("figure").hidden = Boolean(answer?.error);
    byId("answer").hidden = !answer?.predictions && !answer?.boxes;
    byId("boxes").hidden = byId("threshold-control").hidden = !answer?.boxes;
    byId("controls").hidden = byId("map").hidden = !answer?.maps?.length;
    byId("box").classList.remove("mapped");
    if (answer?.predictions) this.#list(answer);
    if (answer?.boxes) this.#showBoxes(answer);
    this.#shape();
  }

  #load(image) {
    URL.revokeObjectURL(this.#address);
    this.#address = image ? URL.createObjectURL(image.file) : "";
    if (image) byId("image").src = this.#address;
    else byId("image").removeAttribute("src");
    byId("image").alt = image?.name ?? "";
  }

  #list(answer) {
    const hasMap = new Map((answer.map_classes ?? []).map((index, at) => [index, at]));
    byId("question").textContent = hasMap.size ? "Predictions; select one to see its map" : "Predictions";
    byId("answer").className = hasMap.size ? "mapped" : "";
    byId("classes").replaceChildren(...answer.predictions.map((one) => line(one, hasMap.get(one.index))));
    const first = byId("classes").querySelector("input");
    if (!first) return;
    first.checked = true;
    this.#drawMap(Number(first.value));
  }

  #showBoxes(answer) {
    const boxes = shown(answer, this.#threshold);
    drawBoxes(byId("boxes"), boxes, answer);
    byId("question").textContent = boxes.length === 1 ? "1 box" : `${count(boxes.length)} boxes`;
    byId("answer").className = "";
    byId("classes").replaceChildren(...counted(boxes).map(countLine));
  }

  #drawMap(at) {
    const { maps, map_classes, predictions } = this.#image.answer;
    const label = predictions.find((one) => one.index === map_classes[at]).label;
    const most = Math.max(...maps[at].flat());
    drawMap(byId("map"), maps[at]);
    byId("map").setAttribute("aria-label", `Activation map for ${label}`);
    byId("map").hidden = byId("scale").hidden = most <= 0;
    byId("nothing").hidden = most > 0;
    byId("box").classList.toggle("mapped", most > 0);
    byId("what").textContent = label;
    byId("most").textContent = most.toPrecision(3);
  }

  #fade() {
    const opacity = byId("opacity").value / 100;
    byId("opacity").setAttribute("aria-valuetext", percent(opacity));
    place(byId("box"), { "--opacity": opacity, "--gray": Math.min(1, 2 * opacity) });
  }

  /** Set the aspect ratio and the crop box. */
  #shape() {
    const image = byId("image");
    const answer = this.#image?.answer?.width ? this.#image.answer : null;
    const drawn = image.complete && image.naturalWidth > 0;
    const { width, height } = answer ?? { width: image.naturalWidth || 4, height: image.naturalHeight || 3 };
    place(byId("view"), { "--ratio": width / height });
    // A browser may rotate an image differently than the server; then the box would be wrong.
    const turned = drawn && (image.naturalWidth > image.naturalHeight) !== (width > height);
    image.hidden = turned || (image.complete && !drawn);
    byId("box").hidden = !answer?.box;
    byId("caption").textContent = "";
    if (!answer) return;
    const hidden = image.hidden ? "This browser cannot show this file type. " : "";
    const whole = product(width, height);
    if (!answer.box) {
      byId("caption").textContent = `${hidden}The network saw the whole image, ${whole} pixels, within ${this.#seen()}.`;
      return;
    }
    const [left, top, right, bottom] = answer.box;
    place(byId("box"), {
      left: fraction(left, width),
      top: fraction(top, height),
      width: fraction(right - left, width),
      height: fraction(bottom - top, height),
    });
    const size = this.#seen();
    const seen = product(right - left, bottom - top);
    byId("caption").textContent = hidden + (seen === whole
      ? `The network saw the whole image, ${whole} pixels, resized to ${size}.`
      : `The network saw the framed ${seen} of ${whole} pixels, resized to ${size}.`);
  }

  #seen() {
    return product(this.#model.width, this.#model.height);
  }
}

function countLine({ label, index, count: number }) {
  const row = document.createElement("div");
  row.className = "class counted";
  const [swatch, name, value] = ["i", "span", "span"].map((tag) => document.createElement(tag));
  color(swatch, index);
  [name.textContent, value.textContent, value.className] = [label, count(number), "percent"];
  row.append(swatch, name, value);
  return row;
}

function line({ label, probability }, map) {
  const row = document.createElement(map === undefined ? "div" : "label");
  row.className = "class";
  const choice = Object.assign(document.createElement("input"), { type: "radio", name: "class", value: map });
  if (map !== undefined) row.append(choice);
  const [name, value, bar, filled] = ["span", "span", "span", "i"].map((tag) => document.createElement(tag));
  name.textContent = label;
  value.textContent = percent(probability);
  [value.className, bar.className] = ["percent", "bar"];
  filled.style.width = `${100 * probability}%`;
  bar.append(filled);
  row.append(name, value, bar);
  return row;
}

/** Without a line break. */
function product(width, height) {
  return `${count(Math.round(width))}\u00a0×\u00a0${count(Math.round(height))}`;
}

function fraction(part, whole) {
  return `${(100 * part) / whole}%`;
}
