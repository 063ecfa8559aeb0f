// Small images beside the rows in sight.

const [WIDTH, HEIGHT] = [112, 84]; // pixels, at most
const AT_ONCE = 2; // an image of 40 megapixels takes 160 MB while it is decoded

export class Thumbnails {
  #wanted = new Map(); // canvases, and their images
  #busy = 0;

  /** Draw the image on the canvas in its turn. The image has been answered: its size is known. */
  want(canvas, image) {
    this.#wanted.set(canvas, image);
    if (this.#busy < AT_ONCE) this.#work();
  }

  /** It is out of sight. */
  drop(canvas) {
    this.#wanted.delete(canvas);
  }

  async #work() {
    this.#busy++;
    for (const [canvas, image] of this.#wanted) {
      this.#wanted.delete(canvas);
      await draw(canvas, image).catch(() => {}); // a kind of file that this browser does not show
    }
    this.#busy--;
  }
}

async function draw(canvas, { file, answer }) {
  const scale = Math.min(WIDTH / answer.width, HEIGHT / answer.height, 1);
  const scaled = (side) => Math.max(1, Math.round(side * scale));
  const size = { resizeWidth: scaled(answer.width), resizeHeight: scaled(answer.height) };
  const bitmap = await createImageBitmap(file, { ...size, resizeQuality: "medium" });
  [canvas.width, canvas.height] = [bitmap.width, bitmap.height];
  canvas.getContext("2d").drawImage(bitmap, 0, 0);
  bitmap.close();
}
