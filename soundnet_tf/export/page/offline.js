// Keeps the page for when its server cannot be reached. The server comes first, so that another net is not hidden.
const FILES = ['./', 'index.html', 'live.css', 'live.js', 'listen.js', 'sound.js', 'microphone.js', 'net.json',
  'model.tflite', 'litert/litert.js', 'litert/litert_wasm_compat_internal.js',
  'litert/litert_wasm_compat_internal.wasm'];
self.addEventListener('install', (event) => {
  self.skipWaiting();
  event.waitUntil(caches.open('soundnet-live').then((cache) => cache.addAll(FILES)));
});
self.addEventListener('activate', (event) => event.waitUntil(self.clients.claim()));
self.addEventListener('fetch', (event) => {
  if (event.request.method !== 'GET' || !event.request.url.startsWith(self.location.origin)) return;
  event.respondWith((async () => {
    const cache = await caches.open('soundnet-live');
    try {
      const answer = await fetch(event.request);
      if (answer.status === 200) await cache.put(event.request, answer.clone());
      return answer;
    } catch (error) {
      return await cache.match(event.request) || Promise.reject(error);
    }
  })());
});
