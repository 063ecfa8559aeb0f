// Small pictures beside the rows that are seen, made when they come into sight and are answered.

const [WIDTH, HEIGHT] = [112, 84]; // pixels, at most
const AT_ONCE = 2; // a picture of 40 megapixels takes 160 MB while it is decoded

export class Thumbnails {
  #wanted = new Map(); // rows in sight, and their pictures
  #busy = 0;
  #pictures = new WeakMap();
  #sight = new IntersectionObserver((entries) => this.#look(entries), { rootMargin: "200px" });

  /** Fill the canvas of the row once it is in sight. The picture has been answered: its size is known. */
  watch(row, picture) {
    this.#pictures.set(row, picture);
    this.#sight.observe(row);
  }

  #look(entries) {
    for (const { target, isIntersecting } of entries) {
      if (isIntersecting) this.#wanted.set(target, this.#pictures.get(target));
      else this.#wanted.delete(target);
    }
    while (this.#busy < AT_ONCE && this.#wanted.size) this.#work();
  }

  async #work() {
    this.#busy++;
    for (const [row, picture] of this.#wanted) {
      this.#wanted.delete(row);
      this.#sight.unobserve(row);
      await draw(row.querySelector("canvas"), picture).catch(() => {}); // a kind of file that this browser does not show
    }
    this.#busy--;
  }
}

async function draw(canvas, { file, answer }) {
  const scale = Math.min(WIDTH / answer.width, HEIGHT / answer.height, 1);
  const [resizeWidth, resizeHeight] = [answer.width, answer.height].map((side) => Math.max(1, Math.round(side * scale)));
  const bitmap = await createImageBitmap(file, { resizeWidth, resizeHeight, resizeQuality: "medium" });
  [canvas.width, canvas.height] = [bitmap.width, bitmap.height];
  canvas.getContext("2d").drawImage(bitmap, 0, 0);
  bitmap.close();
}
