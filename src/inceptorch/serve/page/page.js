// The page: collects images, sends them to the server, and shows the predictions.

import { TokenRequired, classify, describeServer, saveToken } from "./api.js";
import { inWords, shown } from "./boxes.js";
import { boxCsv, csv } from "./csv.js";
import { ResultsTable } from "./results_table.js";
import { compareNames, count, imageCount, percent } from "./text.js";
import { View } from "./view.js";

const byId = (id) => document.getElementById(id);
const root = document.documentElement;

let server = null; // its models and limits
let running = null; // an AbortController while requests are under way
let note = ""; // beside the progress
let drawRequest = 0; // id of the requested animation frame
let images = []; // {file, name, number, answer}; answer is the server's, or {error}
let pasted = 0;
const view = new View();
const table = new ResultsTable(byId("results").querySelector("table"), (image, walking) => {
  show(image);
  if (!walking && byId("view").getBoundingClientRect().top < 0) byId("view").scrollIntoView();
});

async function connect() {
  showError("");
  try {
    server = await describeServer();
  } catch (error) {
    if (error instanceof TokenRequired) requireToken(error.message);
    else showError(error instanceof TypeError ? "The server cannot be reached." : error.message);
    return;
  }
  byId("sign-in").hidden = true;
  byId("upload").hidden = false;
  byId("models").replaceChildren(...server.models.map(({ name }) => new Option(name, name)));
  byId("choice").hidden = server.models.length === 1;
  describe();
  run();
}

function requireToken(message) {
  showError(message);
  byId("sign-in").hidden = false;
  byId("upload").hidden = true;
  byId("token").value = "";
  byId("token").focus();
}

function model() {
  return server.models[Math.max(0, byId("models").selectedIndex)];
}

function describe() {
  const { name, task, network, classes, width, height, engine, precision, threshold } = model();
  const parts = [network, `${count(classes)} classes`, `${width} × ${height} pixels`, `${engine}, ${precision}`];
  if (server.models.length === 1 && name !== network) parts.unshift(name);
  byId("about").textContent = parts.join(" · ");
  root.classList.toggle("boxes", task === "boxes");
  view.model = model();
  if (task === "boxes") view.threshold = table.threshold = threshold;
  table.task = task;
}

/** Add files to the page and classify them. */
function addFiles(files) {
  const added = files.map((file, at) => ({ file, name: nameOf(file), number: images.length + at, answer: null }));
  if (!added.length) return;
  images.push(...added);
  table.add(added);
  root.classList.add("begun");
  root.classList.toggle("many", images.length > 1);
  byId("results").hidden = byId("steps").hidden = images.length < 2;
  byId("results-name").textContent = imageCount(images.length);
  show(added[0]);
  run();
}

function nameOf(file) {
  if (file.pasted) return `pasted ${++pasted}`;
  return file.path ?? (file.webkitRelativePath || file.name);
}

function show(image) {
  view.show(image);
  table.mark(image);
  if (!image) return;
  if (image.answer) announce(`${image.name}: ${shortAnswer(image.answer)}`);
}

function shortAnswer({ error, predictions, ...answer }) {
  if (error) return error;
  if (!predictions) return inWords(shown(answer, view.threshold));
  return `${predictions[0].label}, ${percent(predictions[0].probability)}`;
}

/** Classify every image without an answer, including those added meanwhile. */
async function run() {
  if (running || !server || images.every(({ answer }) => answer)) return;
  const mine = new AbortController();
  running = mine;
  showError("");
  progress();
  try {
    for (let left; (left = images.filter(({ answer }) => !answer)).length; ) {
      announce(`Classifying ${imageCount(left.length)}.`);
      await classify(left, { model: model(), limits: server.limits, signal: mine.signal, onAnswer, busy });
    }
    announce(images.length > 1 ? summary() : `${images[0].name}: ${shortAnswer(images[0].answer)}`);
  } catch (error) {
    if (error instanceof TokenRequired) requireToken(error.message);
    else if (!mine.signal.aborted) showError(error.message);
  }
  if (running === mine) stop();
}

/** Stop sending; images without an answer stay so. */
function stop() {
  running?.abort();
  running = null;
  note = "";
  table.sort();
  progress();
}

function onAnswer(image, answer) {
  image.answer = answer;
  table.update(image);
  if (image === view.image) view.show(image);
  drawRequest ||= requestAnimationFrame(progress);
}

function busy(seconds) {
  if (seconds) announce(`The server is busy. Retrying in ${seconds} s.`);
  note = seconds ? "; the server is busy" : "";
  progress();
}

/** Show the progress. Unanswered images while nothing runs were canceled, or the server was lost. */
function progress() {
  drawRequest = 0;
  const done = images.filter(({ answer }) => answer).length;
  byId("work").hidden = !running && done === images.length;
  byId("progress").max = images.length || 1;
  byId("progress").value = done;
  byId("count").textContent = `${count(done)} of ${imageCount(images.length)}${note}`;
  byId("stop").textContent = running ? "Cancel" : "Continue";
  if (!running) byId("results-name").textContent = summary();
}

function summary() {
  const faults = images.filter(({ answer }) => answer?.error).length;
  return imageCount(images.length) + (faults ? `, ${count(faults)} failed` : "");
}

function clear() {
  images = [];
  table.clear();
  stop();
  show(null);
  root.classList.remove("begun", "many");
  byId("results").hidden = true;
  announce("Cleared.");
  byId("files").focus();
}

function announce(sentence) {
  byId("status").textContent = sentence;
}

function showError(sentence) {
  byId("alert").hidden = !sentence;
  byId("alert").textContent = sentence;
}

/** The dropped files, including those in folders, without hidden ones. */
async function dropped(transfer) {
  // The list of items is emptied after this event.
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
  // A reader returns a hundred at a time, and none at the end.
  for (let some; (some = await read()).length; ) found.push(...some);
  found.sort((a, b) => compareNames(a.name, b.name));
  return (await Promise.all(found.map(inFolder))).flat();
}

for (const id of ["files", "folder", "camera"]) {
  byId(id).addEventListener("change", ({ target }) => {
    const files = [...target.files].filter(({ name }) => !name.startsWith("."));
    // Only files of a folder have these paths; others keep their order.
    addFiles(files.sort((a, b) => compareNames(a.webkitRelativePath, b.webkitRelativePath)));
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
  addFiles(await dropped(event.dataTransfer).catch(() => (showError("The folder cannot be read."), [])));
});
document.addEventListener("paste", (event) => {
  const files = [...event.clipboardData.files];
  // The name that browsers give to a copied image.
  for (const file of files) file.pasted = file.name === "image.png";
  addFiles(files);
});
byId("sign-in").addEventListener("submit", (event) => {
  event.preventDefault();
  saveToken(byId("token").value);
  connect();
});
byId("models").addEventListener("change", () => {
  stop();
  for (const image of images) {
    image.answer = null;
    table.update(image);
  }
  describe();
  show(view.image);
  run();
});
byId("stop").addEventListener("click", () => (running ? stop() : run()));
byId("previous").addEventListener("click", () => show(table.neighbor(view.image, -1)));
byId("next").addEventListener("click", () => show(table.neighbor(view.image, 1)));
byId("clear").addEventListener("click", clear);
byId("csv").addEventListener("click", () => {
  const address = URL.createObjectURL(new Blob([download()], { type: "text/csv" }));
  Object.assign(document.createElement("a"), { href: address, download: "predictions.csv" }).click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
});

byId("threshold").addEventListener("input", ({ target }) => {
  view.threshold = table.threshold = target.value / 100;
  table.sort();
});

function download() {
  if (model().task !== "boxes") return csv(table.images);
  return boxCsv(table.images, (answer) => shown(answer, view.threshold));
}

connect();
