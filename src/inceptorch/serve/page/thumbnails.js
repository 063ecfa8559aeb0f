// Thumbnails of the visible rows.

const [WIDTH, HEIGHT] = [112, 84]; // pixels, at most
const CONCURRENCY = 2; // an image of 40 megapixels takes 160 MB while it is decoded

export class Thumbnails {
  #wanted = new Map(); // images by canvas
  #busy = 0;

  /** Queue the image to be drawn on the canvas. Its answer gives its size. */
  want(canvas, image) {
    this.#wanted.set(canvas, image);
    if (this.#busy < CONCURRENCY) this.#work();
  }

  /** Forget a canvas that is no longer visible. */
  drop(canvas) {
    this.#wanted.delete(canvas);
  }

  async #work() {
    this.#busy++;
    for (const [canvas, image] of this.#wanted) {
      this.#wanted.delete(canvas);
      await draw(canvas, image).catch(() => {}); // this browser cannot show the file type
    }
    this.#busy--;
  }
}

async function draw(canvas, { file, answer }) {
  const scale = Math.min(WIDTH / answer.width, HEIGHT / answer.height, 1);
  const scaled = (length) => Math.max(1, Math.round(length * scale));
  const size = { resizeWidth: scaled(answer.width), resizeHeight: scaled(answer.height) };
  const bitmap = await createImageBitmap(file, { ...size, resizeQuality: "medium" });
  [canvas.width, canvas.height] = [bitmap.width, bitmap.height];
  canvas.getContext("2d").drawImage(bitmap, 0, 0);
  bitmap.close();
}
