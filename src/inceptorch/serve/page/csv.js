// The predictions as CSV for spreadsheets.

/** The best predictions of images in their order. */
export function csv(images) {
  const lines = [["file", "label", "index", "probability", "error"]];
  for (const { name, answer } of images) {
    const [best] = answer?.predictions ?? [];
    lines.push([name, best?.label, best?.index, best?.probability, answer?.error]);
  }
  return table(lines);
}

/** The boxes of images, one a line, as `inceptorch predict --out` writes them; `boxesOf(answer)` are those to write. */
export function boxCsv(images, boxesOf) {
  const lines = [["file", "label", "score", "left", "top", "width", "height", "error"]];
  for (const { name, answer } of images) {
    const boxes = answer?.boxes ? boxesOf(answer) : [];
    for (const { label, score, box } of boxes) lines.push([name, label, score, ...box, ""]);
    if (!boxes.length) lines.push([name, ...Array(6).fill(""), answer?.error]);
  }
  return table(lines);
}

/** RFC 4180, with a UTF-8 byte order mark, and without formulas. */
function table(lines) {
  return "\ufeff" + lines.map((line) => line.map(cell).join(",") + "\r\n").join("");
}

function cell(value) {
  if (typeof value === "number") return String(value);
  // A spreadsheet would run these as formulas, which can do harm.
  const text = String(value ?? "").replace(/^[=+\-@\t\r\n]/, "'$&");
  return /[",\r\n;\t']/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
