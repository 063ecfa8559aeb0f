// Activation maps in color. The colors and the opacity are those of `inceptorch explain` (explain/overlay.py).

// 33 even steps through matplotlib's inferno, as hexadecimal RGB.
const INFERNO =
  "0000040403120b0724150b37210c4a2e0a5a3c09654a0c6b57106d63146e70196e7d1e6d89226a962766a32b61af315cbb3755" +
  "c63e4dd14644db4f3be35932eb6528f1711ef67f14f98d0afb9c06fcab0ffbba1ff9ca32f5d949f2e865f3f586fcffa4";
const STOPS = Array.from({ length: 33 }, (_, stop) =>
  [0, 2, 4].map((at) => parseInt(INFERNO.slice(6 * stop + at, 6 * stop + at + 2), 16)));

// Opacity at the minimum, as a fraction of that at the maximum.
const MIN_OPACITY = 0.6;

/** The map [h][w] resized to size x size, row by row, from 0 to 1 (its maximum); negative values become 0. */
export function strength(map, size) {
  const highest = Math.max(0, ...map.flat()) || 1;
  const wide = map.map((row) => resized(row.map((value) => Math.max(value, 0)), size));
  const columns = Array.from({ length: size }, (_, x) => resized(wide.map((row) => row[x]), size));
  const grown = new Float64Array(size * size);
  for (let y = 0; y < size; y++) {
    for (let x = 0; x < size; x++) grown[y * size + x] = Math.min(Math.max(columns[x][y] / highest, 0), 1);
  }
  return grown;
}

/** Draw the map [h][w] over the whole canvas, which is square. */
export function drawMap(canvas, map) {
  paint(canvas, strength(map, canvas.width), (value) => MIN_OPACITY + (1 - MIN_OPACITY) * value);
}

/** Draw the colors from 0 to the maximum, left to right, on a canvas one pixel high. */
export function drawLegend(canvas) {
  paint(canvas, Array.from({ length: canvas.width }, (_, x) => x / (canvas.width - 1)), () => 1);
}

function paint(canvas, values, opacity) {
  const context = canvas.getContext("2d");
  const image = context.createImageData(canvas.width, canvas.height);
  values.forEach((value, at) => image.data.set([...color(value), 255 * opacity(value)], 4 * at));
  context.putImageData(image, 0, 0);
}

function color(value) {
  const place = value * (STOPS.length - 1);
  const below = Math.min(Math.floor(place), STOPS.length - 2);
  return STOPS[below].map((from, channel) => from + (place - below) * (STOPS[below + 1][channel] - from));
}

/** A row of values enlarged to `size` values by bicubic interpolation, as Pillow does it. */
function resized(values, size) {
  return Array.from({ length: size }, (_, at) => {
    const center = ((at + 0.5) * values.length) / size - 0.5;
    let sum = 0;
    let weights = 0;
    for (let from = Math.floor(center) - 1; from <= Math.floor(center) + 2; from++) {
      if (from < 0 || from >= values.length) continue;
      const weight = cubic(Math.abs(from - center));
      sum += weight * values[from];
      weights += weight;
    }
    return sum / weights;
  });
}

function cubic(x) {
  if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
  return x < 2 ? ((-0.5 * x + 2.5) * x - 4) * x + 2 : 0;
}
