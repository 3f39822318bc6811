// onnxruntime-web from this folder, and graphs with their weights.

const THREADS = 4;

async function hasWebGpu() {
  const adapter = await navigator.gpu?.requestAdapter().catch(() => null);
  return Boolean(adapter) && !(adapter.info?.isFallbackAdapter ?? adapter.isFallbackAdapter);
}

// The bytes at an address; those of a file that a server did not unpack are unpacked here.
async function read(address, report) {
  const response = await fetch(address);
  if (!response.ok) throw new Error(`${address}: ${response.status} ${response.statusText}`);
  const reader = response.body.getReader(), parts = [];
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    parts.push(value);
    report(value.length);
  }
  const bytes = new Uint8Array(await new Blob(parts).arrayBuffer());
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return bytes;
  const unpacked = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(unpacked).arrayBuffer());
}

// The runtime for WebGPU where there is such a thing, else for WebAssembly; `by` is auto, webgpu or wasm.
// `most` threads are used, 0: up to THREADS, and one processor is left to the page, as waiting threads keep theirs busy.
export async function startRuntime(facts, by, most, say) {
  const gpu = by === "webgpu" || (by === "auto" && (await hasWebGpu()));
  const files = gpu ? facts.webgpu : facts.wasm;
  const total = files.bytes + facts.bytes;
  let come = 0;
  const report = (length) => {
    come += length;
    say({ come, total });
  };
  const base = new URL("runtime/", self.location.href).href;
  const ort = await import(base + files.module);
  ort.env.wasm.wasmPaths = { mjs: base + files.glue };
  ort.env.wasm.wasmBinary = (await read(base + files.binary, report)).buffer;
  const free = Math.max(1, Math.min(THREADS, navigator.hardwareConcurrency - 1));
  const threads = self.crossOriginIsolated ? most || free : 1;
  ort.env.wasm.numThreads = threads;
  ort.env.logLevel = "error";
  return { runtime: { ort, by: gpu ? "webgpu" : "wasm", threads, weights: new Map() }, report };
}

// A graph whose `run` takes { name: [values, dims] } and gives { name: { data, dims } }, by WebGPU or WebAssembly.
export async function openGraph(runtime, { folder, graphs, weights }, name, by, report) {
  const file = graphs[name];
  const address = `${folder}/${weights}`;
  if (!runtime.weights.has(address)) runtime.weights.set(address, read(address, report));
  const [graph, data] = await Promise.all([read(`${folder}/${file}`, report), runtime.weights.get(address)]);
  const session = await runtime.ort.InferenceSession.create(graph, {
    executionProviders: by === "webgpu" ? ["webgpu", "wasm"] : ["wasm"],
    externalData: [{ path: weights, data }],
    logSeverityLevel: 3,
  });
  return {
    async run(feeds) {
      const taken = session.inputNames.map((name) => [name, new runtime.ort.Tensor("float32", ...feeds[name])]);
      return session.run(Object.fromEntries(taken));
    },
  };
}
