// Boxes of a detector over their image. The colors are those of `inceptorch predict --draw` (inference/draw_boxes.py).

import { count, wholePercent } from "./text.js";

const PALETTE = [
  "#1f77d0", "#e4572e", "#2e9e4f", "#f2b01e", "#8e44ad", "#17a2b8", "#d63384", "#7a5230", "#9acd32", "#34495e",
];

/** The boxes of an answer whose score is at least `threshold`, best first. */
export function shown(answer, threshold) {
  return answer.boxes.filter(({ score }) => score >= threshold);
}

/** [{label, index, count}] of boxes, in the order of the classes. */
export function counted(boxes) {
  const classes = new Map();
  for (const { label, index } of boxes) {
    const known = classes.get(index) ?? { label, index, count: 0 };
    classes.set(index, { ...known, count: known.count + 1 });
  }
  return [...classes.values()].sort((a, b) => a.index - b.index);
}

/** "12 RBC, 1 WBC", or "no boxes". */
export function inWords(boxes) {
  return counted(boxes).map(({ label, count: number }) => `${count(number)} ${label}`).join(", ") || "no boxes";
}

/** Draw boxes, the best on top, in an element that covers the image; `size` is the image's {width, height}. */
export function drawBoxes(element, boxes, { width, height }) {
  element.replaceChildren(...[...boxes].reverse().map(({ label, index, score, box }) => {
    const [left, top, wide, tall] = box;
    const [frame, tag] = [document.createElement("div"), document.createElement("span")];
    tag.textContent = `${label} ${wholePercent(score)}`;
    frame.className = "found";
    frame.classList.toggle("below", top < 0.06 * height); // the image ends above
    frame.classList.toggle("leftward", left > 0.75 * width && left + wide > 0.85 * width);
    place(frame, index, { left: left / width, top: top / height, width: wide / width, height: tall / height });
    frame.append(tag);
    return frame;
  }));
}

function place(frame, index, fractions) {
  for (const [name, fraction] of Object.entries(fractions)) frame.style.setProperty(name, `${100 * fraction}%`);
  color(frame, index);
}

/** Give an element the color of a class, and the ink that is legible on it. */
export function color(element, index) {
  const hex = PALETTE[index % PALETTE.length];
  const [red, green, blue] = [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
  element.style.setProperty("--color", hex);
  element.style.setProperty("--on-color", 0.299 * red + 0.587 * green + 0.114 * blue > 140 ? "#000" : "#fff");
}
