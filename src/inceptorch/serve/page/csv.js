// The predictions as CSV for spreadsheets.

/** The images in their order: RFC 4180, with a UTF-8 byte order mark, and without formulas. */
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
  // A spreadsheet would run these as formulas, which can do harm.
  const text = String(value ?? "").replace(/^[=+\-@\t\r\n]/, "'$&");
  return /[",\r\n;\t']/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
