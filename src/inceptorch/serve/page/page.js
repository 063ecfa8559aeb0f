// The page: takes images in every way, has them answered, and shows the answers.

import { TokenNeeded, about, ask, keepToken } from "./asking.js";
import { csv } from "./csv.js";
import { Sheet } from "./sheet.js";
import { View } from "./view.js";
import { count, inOrder, percent, images as inWords } from "./words.js";

const byId = (id) => document.getElementById(id);
const root = document.documentElement;

let server = null; // what it says of itself
let running = null; // an AbortController while images are asked about
let remark = ""; // on the progress
let drawing = 0; // the frame that the progress is to be drawn in
let images = []; // {file, name, number, answer}; answer is the server's, or {error}
let pasted = 0;
const view = new View();
const sheet = new Sheet(byId("sheet").querySelector("table"), (image, walking) => {
  show(image);
  if (!walking && byId("view").getBoundingClientRect().top < 0) byId("view").scrollIntoView();
});

async function enter() {
  fault("");
  try {
    server = await about();
  } catch (error) {
    if (error instanceof TokenNeeded) askForToken(error.message);
    else fault(error instanceof TypeError ? "The server cannot be reached." : error.message);
    return;
  }
  byId("entrance").hidden = true;
  byId("give").hidden = false;
  byId("models").replaceChildren(...server.models.map(({ name }) => new Option(name, name)));
  byId("choice").hidden = server.models.length === 1;
  describe();
  run();
}

function askForToken(message) {
  fault(message);
  byId("entrance").hidden = false;
  byId("give").hidden = true;
  byId("token").value = "";
  byId("token").focus();
}

function model() {
  return server.models[Math.max(0, byId("models").selectedIndex)];
}

function describe() {
  const { name, network, classes, size, engine, precision } = model();
  const parts = [network, `${count(classes)} classes`, `squares of ${size} pixels`, `${engine}, ${precision}`];
  if (server.models.length === 1 && name !== network) parts.unshift(name);
  byId("about").textContent = parts.join(" · ");
}

/** Take files in, and ask about them. */
function give(files) {
  const added = files.map((file, at) => ({ file, name: nameOf(file), number: images.length + at, answer: null }));
  if (!added.length) return;
  images.push(...added);
  sheet.add(added);
  root.classList.add("begun");
  root.classList.toggle("many", images.length > 1);
  byId("sheet").hidden = byId("steps").hidden = images.length < 2;
  byId("sheet-name").textContent = inWords(images.length);
  show(added[0]);
  run();
}

function nameOf(file) {
  if (file.pasted) return `pasted ${++pasted}`;
  return file.path ?? (file.webkitRelativePath || file.name);
}

function show(image) {
  view.show(image, server ? model().size : 0);
  sheet.mark(image);
  if (!image) return;
  if (image.answer) say(`${image.name}: ${inShort(image.answer)}`);
}

function inShort({ error, predictions }) {
  return error ?? `${predictions[0].label}, ${percent(predictions[0].probability)}`;
}

/** Ask about every image that has no answer yet, also those that are given meanwhile. */
async function run() {
  if (running || !server || images.every(({ answer }) => answer)) return;
  const mine = new AbortController();
  running = mine;
  fault("");
  progress();
  try {
    for (let left; (left = images.filter(({ answer }) => !answer)).length; ) {
      say(`Asking about ${inWords(left.length)}.`);
      await ask(left, { model: model().name, limits: server.limits, signal: mine.signal, told, busy });
    }
    say(images.length > 1 ? summary() : `${images[0].name}: ${inShort(images[0].answer)}`);
  } catch (error) {
    if (error instanceof TokenNeeded) askForToken(error.message);
    else if (!mine.signal.aborted) fault(error.message);
  }
  if (running === mine) halt();
}

/** Nothing is asked any more; what has no answer keeps none. */
function halt() {
  running?.abort();
  running = null;
  remark = "";
  sheet.sort();
  progress();
}

function told(image, answer) {
  image.answer = answer;
  sheet.update(image);
  if (image === view.image) view.show(image, model().size);
  drawing ||= requestAnimationFrame(progress);
}

function busy(seconds) {
  if (seconds) say(`The server is busy; asking again in ${seconds} s.`);
  remark = seconds ? "; the server is busy" : "";
  progress();
}

/** Show how far it has come. Images without an answer while nothing runs were cancelled, or the server was lost. */
function progress() {
  drawing = 0;
  const done = images.filter(({ answer }) => answer).length;
  byId("work").hidden = !running && done === images.length;
  byId("progress").max = images.length || 1;
  byId("progress").value = done;
  byId("count").textContent = `${count(done)} of ${inWords(images.length)}${remark}`;
  byId("stop").textContent = running ? "Cancel" : "Go on";
  if (!running) byId("sheet-name").textContent = summary();
}

function summary() {
  const faults = images.filter(({ answer }) => answer?.error).length;
  return inWords(images.length) + (faults ? `, ${count(faults)} without an answer` : "");
}

function clear() {
  images = [];
  sheet.clear();
  halt();
  show(null);
  root.classList.remove("begun", "many");
  byId("sheet").hidden = true;
  say("Cleared.");
  byId("files").focus();
}

function say(sentence) {
  byId("said").textContent = sentence;
}

function fault(sentence) {
  byId("fault").hidden = !sentence;
  byId("fault").textContent = sentence;
}

/** The files dropped, those in folders too; hidden files are left out. */
async function dropped(transfer) {
  // The list of items is emptied when this event is over.
  const items = [...transfer.items].filter(({ kind }) => kind === "file");
  const entries = items.map((item) => [item.webkitGetAsEntry?.(), item.getAsFile()]);
  const found = await Promise.all(entries.map(([entry, file]) => (entry?.isDirectory ? inFolder(entry) : [file])));
  return found.flat();
}

async function inFolder(entry) {
  if (entry.name.startsWith(".")) return [];
  if (entry.isFile) {
    const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
    file.path = entry.fullPath.slice(1);
    return [file];
  }
  const reader = entry.createReader();
  const read = () => new Promise((resolve, reject) => reader.readEntries(resolve, reject));
  const found = [];
  // A reader gives a hundred at a time, and none when it is done.
  for (let some; (some = await read()).length; ) found.push(...some);
  found.sort((a, b) => inOrder(a.name, b.name));
  return (await Promise.all(found.map(inFolder))).flat();
}

for (const id of ["files", "folder", "camera"]) {
  byId(id).addEventListener("change", ({ target }) => {
    const files = [...target.files].filter(({ name }) => !name.startsWith("."));
    // Only those of a folder have such paths; others stay as they were chosen.
    give(files.sort((a, b) => inOrder(a.webkitRelativePath, b.webkitRelativePath)));
    target.value = ""; // so that the same file can be chosen again
  });
}
document.addEventListener("dragover", (event) => {
  event.preventDefault();
  root.classList.add("over");
});
document.addEventListener("dragleave", (event) => event.relatedTarget || root.classList.remove("over"));
document.addEventListener("drop", async (event) => {
  event.preventDefault();
  root.classList.remove("over");
  give(await dropped(event.dataTransfer).catch(() => (fault("The folder cannot be read."), [])));
});
document.addEventListener("paste", (event) => {
  const files = [...event.clipboardData.files];
  // What browsers call an image that is not a file.
  for (const file of files) file.pasted = file.name === "image.png";
  give(files);
});
byId("entrance").addEventListener("submit", (event) => {
  event.preventDefault();
  keepToken(byId("token").value);
  enter();
});
byId("models").addEventListener("change", () => {
  halt();
  for (const image of images) {
    image.answer = null;
    sheet.update(image);
  }
  describe();
  show(view.image);
  run();
});
byId("stop").addEventListener("click", () => (running ? halt() : run()));
byId("previous").addEventListener("click", () => show(sheet.beside(view.image, -1)));
byId("next").addEventListener("click", () => show(sheet.beside(view.image, 1)));
byId("clear").addEventListener("click", clear);
byId("csv").addEventListener("click", () => {
  const address = URL.createObjectURL(new Blob([csv(sheet.images)], { type: "text/csv" }));
  Object.assign(document.createElement("a"), { href: address, download: "answers.csv" }).click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
});

enter();
