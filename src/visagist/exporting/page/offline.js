// Keeps all files of this folder once they have come, and answers with the headers that threads need.

const CACHE = "visagist-VERSION";
const SHELL = FILES;
const HEADERS = {
  "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp",
  "Cross-Origin-Resource-Policy": "same-origin",
};

self.addEventListener("install", (event) => {
  self.skipWaiting();
  event.waitUntil(caches.open(CACHE).then((cache) => cache.addAll(SHELL.map((file) => new Request(file, { cache: "reload" })))));
});

self.addEventListener("activate", (event) => {
  const drop = async () => {
    const old = (await caches.keys()).filter((name) => name.startsWith("visagist-") && name !== CACHE);
    await Promise.all(old.map((name) => caches.delete(name)));
    await self.clients.claim();
  };
  event.waitUntil(drop());
});

self.addEventListener("fetch", (event) => {
  const { request } = event;
  if (request.method === "GET" && new URL(request.url).origin === self.location.origin) event.respondWith(answer(request));
});

async function answer(request) {
  const address = new URL(request.url);
  address.search = address.hash = "";
  const cache = await caches.open(CACHE);
  const kept = await cache.match(address.href);
  if (kept) return guarded(kept);
  const response = await fetch(request);
  if (response.status !== 200) return response;
  await cache.put(address.href, response.clone()).catch(() => undefined); // no room: the page works, but not offline
  return guarded(response);
}

function guarded(response) {
  const headers = new Headers(response.headers);
  for (const [name, value] of Object.entries(HEADERS)) headers.set(name, value);
  return new Response(response.body, { status: response.status, statusText: response.statusText, headers });
}
