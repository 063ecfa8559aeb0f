// One picture: what the network saw of it, its answer, and the map of a class over it.

import { drawLegend, drawMap } from "./map.js";
import { count, percent } from "./words.js";

const byId = (id) => document.getElementById(id);

function place(element, values) {
  for (const [name, value] of Object.entries(values)) element.style.setProperty(name, value);
}

export class View {
  #picture = null;
  #address = "";
  #size = 0;

  constructor() {
    drawLegend(byId("legend"));
    byId("opacity").addEventListener("input", () => this.#fade());
    byId("classes").addEventListener("change", (event) => this.#drawMap(Number(event.target.value)));
    byId("picture").addEventListener("load", () => this.#shape());
    byId("picture").addEventListener("error", () => this.#shape());
    this.#fade();
  }

  get picture() {
    return this.#picture;
  }

  /** Show the picture ({file, name, answer}) as a square of `size` pixels was made of it; null shows none. */
  show(picture, size) {
    byId("view").hidden = !picture;
    if (picture !== this.#picture) this.#load(picture);
    [this.#picture, this.#size] = [picture, size];
    if (!picture) return;
    const { answer, name } = picture;
    byId("name").textContent = name;
    byId("error").hidden = !answer?.error;
    byId("error").textContent = answer?.error ? `${name} ${answer.error}` : "";
    byId("figure").hidden = Boolean(answer?.error);
    byId("answer").hidden = !answer?.predictions;
    byId("controls").hidden = byId("map").hidden = !answer?.maps?.length;
    byId("box").classList.remove("mapped");
    if (answer?.predictions) this.#list(answer);
    this.#shape();
  }

  #load(picture) {
    URL.revokeObjectURL(this.#address);
    this.#address = picture ? URL.createObjectURL(picture.file) : "";
    if (picture) byId("picture").src = this.#address;
    else byId("picture").removeAttribute("src");
    byId("picture").alt = picture?.name ?? "";
  }

  #list(answer) {
    const hasMap = new Map((answer.map_classes ?? []).map((index, at) => [index, at]));
    byId("question").textContent = hasMap.size ? "Answers; the map shows what speaks for the chosen one" : "Answers";
    byId("answer").className = hasMap.size ? "mapped" : "";
    byId("classes").replaceChildren(...answer.predictions.map((one) => line(one, hasMap.get(one.index))));
    const first = byId("classes").querySelector("input");
    if (!first) return;
    first.checked = true;
    this.#drawMap(Number(first.value));
  }

  #drawMap(at) {
    const { maps, map_classes, predictions } = this.#picture.answer;
    const label = predictions.find((one) => one.index === map_classes[at]).label;
    const most = Math.max(...maps[at].flat());
    drawMap(byId("map"), maps[at]);
    byId("map").setAttribute("aria-label", `Map of what speaks for ${label}`);
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

  /** The picture's form, as far as it is known, and the box that the network saw. */
  #shape() {
    const image = byId("picture");
    const answer = this.#picture?.answer?.box ? this.#picture.answer : null;
    const drawn = image.complete && image.naturalWidth > 0;
    const { width, height } = answer ?? { width: image.naturalWidth || 4, height: image.naturalHeight || 3 };
    place(byId("view"), { "--ratio": width / height });
    // A browser may turn a picture otherwise than the server: the box would lie on other things than were seen.
    const turned = drawn && (image.naturalWidth > image.naturalHeight) !== (width > height);
    image.hidden = turned || (image.complete && !drawn);
    byId("box").hidden = !answer;
    byId("caption").textContent = "";
    if (!answer) return;
    const [left, top, right, bottom] = answer.box;
    place(byId("box"), {
      left: share(left, width),
      top: share(top, height),
      width: share(right - left, width),
      height: share(bottom - top, height),
    });
    const size = product(this.#size, this.#size);
    const seen = product(right - left, bottom - top);
    const whole = product(width, height);
    const hidden = image.hidden ? "This browser does not show this kind of file. " : "";
    byId("caption").textContent = hidden + (seen === whole
      ? `The network saw the whole picture, ${whole} pixels, as ${size}.`
      : `The frame is what the network saw: ${seen} of ${whole} pixels, as ${size}.`);
  }
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

/** On one line. */
function product(width, height) {
  return `${count(Math.round(width))}\u00a0×\u00a0${count(Math.round(height))}`;
}

function share(part, whole) {
  return `${(100 * part) / whole}%`;
}
