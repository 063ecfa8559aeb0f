// Sends images to the server in groups within its limits, a few requests at a time.

const TOP = 5;
const MIN_CONFIDENCE = 0.05; // below which a detector has no boxes
const MAX_GROUP = 8; // images in a request, at most
const CONCURRENCY = 3; // concurrent requests
const OVERHEAD = 2048; // bytes per image of the form around it, at most
const RETRY_DELAYS = [1, 2, 4]; // seconds, after a broken connection

/** The token is missing or wrong. */
export class TokenRequired extends Error {}

/** The models and limits of the server. Throws TokenRequired or an Error. */
export async function describeServer() {
  const { ok, status, body } = await request("about");
  if (!ok) throw new Error(sentence(status, body));
  return body;
}

/** Save the token for this tab. */
export function saveToken(token) {
  sessionStorage.setItem("token", token);
}

/**
 * Classify images ({file, name}), or find boxes in them, until all are answered. `model` is one of the server's.
 * Each answer, the server's or {error}, goes to `onAnswer(image, answer)`. `busy(seconds)` is called before each pause
 * that the server asks for, and with 0 after it.
 * Throws when `signal` aborts, a TokenRequired, or an Error when the server cannot be reached.
 */
export async function classify(images, { model, limits, signal, onAnswer, busy }) {
  const left = [...images];
  const stop = new AbortController();
  const either = AbortSignal.any([signal, stop.signal]);
  let size = Math.min(MAX_GROUP, limits.max_files);

  async function work() {
    let broken = 0;
    for (;;) {
      const group = nextGroup(left, size, limits, onAnswer);
      if (!group.length) return;
      let reply;
      try {
        reply = await post(group, model, either);
        broken = 0;
      } catch (error) {
        if (error instanceof TokenRequired || either.aborted) throw error;
        left.unshift(...(await readable(group, either, onAnswer)));
        if (broken === RETRY_DELAYS.length) throw new Error("The server cannot be reached.");
        await pause(RETRY_DELAYS[broken++], either);
        continue;
      }
      either.throwIfAborted();
      const { ok, status, wait, body } = reply;
      if (status === 503 || status === 429) {
        left.unshift(...group);
        size = Math.ceil(size / 2);
        busy(wait);
        await pause(wait, either);
        busy(0);
      } else if (status === 413 && group.length > 1) {
        left.unshift(...group);
        size = Math.ceil(group.length / 2);
      } else {
        const fault = { error: `failed: ${sentence(status, body)}` };
        group.forEach((image, at) => onAnswer(image, (ok && body?.[at]) || fault));
      }
    }
  }

  try {
    await Promise.all(Array.from({ length: CONCURRENCY }, work));
  } catch (error) {
    stop.abort();
    throw error;
  }
}

/** Take the next images that fit into a request; answer those too large for any. */
function nextGroup(left, size, limits, onAnswer) {
  const group = [];
  let bytes = 0;
  while (left.length && group.length < size) {
    const need = left[0].file.size + OVERHEAD;
    if (need > limits.max_body) {
      onAnswer(left.shift(), { error: `exceeds this server's limit of ${megabytes(limits.max_body)} MB` });
    } else if (bytes + need <= limits.max_body) {
      bytes += need;
      group.push(left.shift());
    } else {
      break;
    }
  }
  return group;
}

async function post(group, model, signal) {
  const body = new FormData();
  for (const image of group) body.append("file", image.file, image.name.slice(-200));
  // Its own signal: Chromium reports an uncatchable error when a failed request is aborted later.
  const mine = new AbortController();
  const abort = () => mine.abort();
  signal.addEventListener("abort", abort);
  try {
    const wanted = model.task === "boxes" ? { min_confidence: MIN_CONFIDENCE } : { top: TOP };
    const query = new URLSearchParams({ ...wanted, maps: 1, model: model.name });
    return await request(`predict?${query}`, { method: "POST", body, signal: mine.signal });
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

/** The whole reply: `body` is its JSON, or null; `wait` is in seconds. Throws TokenRequired. */
async function request(address, options = {}) {
  const token = sessionStorage.getItem("token");
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  const response = await fetch(address, { ...options, headers, cache: "no-store" });
  const text = await response.text();
  if (response.status === 401) throw new TokenRequired(token ? "Wrong token." : "");
  const wait = Math.max(1, Number(response.headers.get("Retry-After")) || 1);
  return { ok: response.ok, status: response.status, wait, body: json(text) };
}

function json(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** The images of a group that can still be read; answer the others, which were moved or changed. */
async function readable(group, signal, onAnswer) {
  const isRead = ({ file }) => file.slice(0, 1).arrayBuffer().then(() => true, () => false);
  const read = await Promise.all(group.map(isRead));
  signal.throwIfAborted();
  const fault = { error: "can no longer be read; add it again" };
  group.filter((_, at) => !read[at]).forEach((image) => onAnswer(image, fault));
  return group.filter((_, at) => read[at]);
}

function sentence(status, body) {
  return typeof body?.error === "string" ? body.error : `The server answered with status ${status}.`;
}

function pause(seconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, 1000 * seconds);
    signal.addEventListener("abort", () => { clearTimeout(timer); reject(signal.reason); }, { once: true });
  });
}

function megabytes(bytes) {
  return Number((bytes / 2 ** 20).toPrecision(2));
}
