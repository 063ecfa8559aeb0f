// The answers as CSV for spreadsheets.

/** A table of the images, in their order: RFC 4180, with a mark that it is UTF-8, and without formulas. */
export function csv(images) {
  const lines = [["file", "label", "index", "probability", "error"]];
  for (const { name, answer } of images) {
    const [best] = answer?.predictions ?? [];
    lines.push([name, best?.label, best?.index, best?.probability, answer?.error]);
  }
  return "\ufeff" + lines.map((line) => line.map(cell).join(",") + "\r\n").join("");
}

function cell(value) {
  if (typeof value === "number") return String(value);
  // What begins like this a spreadsheet would calculate, and what it calculates can do harm.
  const text = String(value ?? "").replace(/^[=+\-@\t\r\n]/, "'$&");
  return /[",\r\n;\t']/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
