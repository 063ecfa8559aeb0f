// Asks the server about images: in groups within its limits, a few requests at a time.

const TOP = 5;
const GROUP = 8; // images in a request, at most
const AT_ONCE = 3; // requests under way
const PART = 2048; // bytes of a request beside each image's own, at most
const PAUSES = [1, 2, 4]; // seconds before a request whose connection broke is sent again

/** The server wants a token, or another one. */
export class TokenNeeded extends Error {}

/** What the server says of its models and limits. Throws TokenNeeded, or an Error with a sentence. */
export async function about() {
  const { ok, status, body } = await request("about");
  if (!ok) throw new Error(sentence(status, body));
  return body;
}

/** Keep the token for this tab. */
export function keepToken(token) {
  sessionStorage.setItem("token", token);
}

/**
 * Ask about images ({file, name}). `told(image, answer)` hears every answer as it comes: the server's, or {error}.
 * `busy(seconds)` hears how long the server wants to be left alone, 0 when it is asked again. Ends when all are
 * answered; throws when `signal` aborts (nothing is told after that), TokenNeeded, or an Error with a sentence when the
 * server cannot be reached.
 */
export async function ask(images, { model, limits, signal, told, busy }) {
  const left = [...images];
  const stop = new AbortController();
  const either = AbortSignal.any([signal, stop.signal]);
  let size = Math.min(GROUP, limits.max_files);

  async function work() {
    let broken = 0;
    for (;;) {
      const group = nextGroup(left, size, limits, told);
      if (!group.length) return;
      let reply;
      try {
        reply = await post(group, model, either);
        broken = 0;
      } catch (error) {
        if (error instanceof TokenNeeded || either.aborted) throw error;
        left.unshift(...(await readable(group, either, told)));
        if (broken === PAUSES.length) throw new Error("The server cannot be reached.");
        await pause(PAUSES[broken++], either);
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
        const fault = { error: `was not answered: ${sentence(status, body)}` };
        group.forEach((image, at) => told(image, (ok && body?.[at]) || fault));
      }
    }
  }

  try {
    await Promise.all(Array.from({ length: AT_ONCE }, work));
  } catch (error) {
    stop.abort();
    throw error;
  }
}

/** Takes the next images that fit into a request from those left; tells of those that fit into none. */
function nextGroup(left, size, limits, told) {
  const group = [];
  let bytes = 0;
  while (left.length && group.length < size) {
    const need = left[0].file.size + PART;
    if (need > limits.max_body) {
      told(left.shift(), { error: `is larger than the ${megabytes(limits.max_body)} MB that this server takes` });
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
  // A signal of its own: Chromium reports an error that nobody can catch when a failed request is aborted later.
  const mine = new AbortController();
  const abort = () => mine.abort();
  signal.addEventListener("abort", abort);
  try {
    const query = new URLSearchParams({ top: TOP, maps: 1, model });
    return await request(`predict?${query}`, { method: "POST", body, signal: mine.signal });
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

/** The server's reply, read to its end: `body` is its JSON, or null; `wait` is in seconds. Throws TokenNeeded. */
async function request(address, options = {}) {
  const token = sessionStorage.getItem("token");
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  const response = await fetch(address, { ...options, headers, cache: "no-store" });
  const text = await response.text();
  if (response.status === 401) throw new TokenNeeded(token ? "That is not this server's token." : "");
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

/** The images of a group that can still be read; tells of the others, moved or changed since they were given. */
async function readable(group, signal, told) {
  const isRead = ({ file }) => file.slice(0, 1).arrayBuffer().then(() => true, () => false);
  const read = await Promise.all(group.map(isRead));
  signal.throwIfAborted();
  const fault = { error: "can no longer be read; give it again" };
  group.filter((_, at) => !read[at]).forEach((image) => told(image, fault));
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
