// Keeps all files of the page, so that it opens without a network. The lines above, which the page's
// writer put there, name the files; a new version of any of them makes this file another one.

const PLACE = `keras_vae ${self.registration.scope} `; // other pages of this host have other caches
const NAME = PLACE + VERSION;

self.addEventListener("install", (event) => event.waitUntil(fill()));
self.addEventListener("activate", (event) => event.waitUntil(takeOver()));
self.addEventListener("fetch", (event) => {
  if (event.request.method === "GET") event.respondWith(answer(event.request));
});

async function fill() {
  const cache = await caches.open(NAME);
  const own = FILES.map((file) => new Request(file, { cache: "no-cache" }));
  const others = Object.entries(OTHERS).map(([url, integrity]) => new Request(url, { integrity }));
  for (const request of [...own, ...others]) {
    // The page has put its large files there already.
    if (!(await cache.match(request.url))) await keep(cache, request);
  }
  await self.skipWaiting();
}

async function keep(cache, request) {
  const response = await fetch(request);
  if (!response.ok) throw new Error(`${request.url}: ${response.status}`);
  // A response after a redirect would be refused as the answer to a navigation.
  const { headers } = response;
  const kept = response.redirected ? new Response(await response.blob(), { headers }) : response;
  await cache.put(request.url, kept);
}

async function takeOver() {
  const names = await caches.keys();
  const old = names.filter((name) => name.startsWith(PLACE) && name !== NAME);
  await Promise.all(old.map((name) => caches.delete(name)));
  await self.clients.claim();
}

async function answer(request) {
  const { scope } = self.registration;
  const url = request.url.split(/[?#]/)[0];
  const isPage = url === scope || url === `${scope}index.html`;
  const cache = await caches.open(NAME);
  return (await cache.match(isPage ? scope : url)) ?? fetch(request);
}
