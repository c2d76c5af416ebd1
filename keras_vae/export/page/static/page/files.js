// Fetches the page's files. The large ones are kept for the next visit, where the service worker
// finds them, so that nothing is fetched twice.

const root = new URL("../", import.meta.url);
const version = document.documentElement.dataset.version;

export const address = (file) => new URL(file, root).href;

// Returns a file as bytes and tells how many have come. With `integrity` other bytes are refused.
export async function bytes(file, { integrity, progress = () => {} } = {}) {
  const url = address(file);
  const cache = await openCache();
  const kept = await cache?.match(url);
  const response = kept ?? (await fetched(url, integrity));
  const content = await collect(response, progress);
  if (!kept) cache?.put(url, new Response(content)).catch(() => {}); // the disk may be full
  return content;
}

async function fetched(url, integrity) {
  const cache = integrity ? "default" : "no-cache"; // what has a hash never changes
  const response = await fetch(url, { integrity, cache }).catch(() => null);
  if (!response) throw new Error(`${url} cannot be fetched, or is not the file that it should be`);
  if (!response.ok) throw new Error(`${url} is not there (${response.status})`);
  return response;
}

export async function json(file) {
  return JSON.parse(new TextDecoder().decode(await bytes(file)));
}

// Returns an image file as a bitmap of unchanged pixels.
export async function bitmap(file) {
  const blob = new Blob([await bytes(file)]);
  return createImageBitmap(blob, { colorSpaceConversion: "none", premultiplyAlpha: "none" });
}

// Lets the service worker keep everything else; resolves when the page works offline.
export async function keepAll() {
  if (!navigator.serviceWorker) return false; // not over plain http
  await navigator.serviceWorker.register(address("sw.js"));
  await navigator.serviceWorker.ready;
  return true;
}

function openCache() {
  return globalThis.caches?.open(`keras_vae ${root.href} ${version}`).catch(() => undefined);
}

async function collect(response, progress) {
  const parts = [];
  for (const reader = response.body.getReader(); ; ) {
    const { done, value } = await reader.read();
    if (done) break;
    parts.push(value);
    progress(value.length);
  }
  const content = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let place = 0;
  for (const part of parts) {
    content.set(part, place);
    place += part.length;
  }
  return content;
}
