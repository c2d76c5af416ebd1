// Runs the parts of the model in a thread of its own, so that the page never freezes. It is started
// from a blob, so that the page's rules of what may be fetched hold here too; and it fetches nothing.

let ort;
const sessions = {};
const tasks = { start, add, run };
let last = Promise.resolve(); // one task after the other

self.onmessage = ({ data: { id, task, ...rest } }) => {
  last = last.then(async () => {
    try {
      const result = await tasks[task](rest);
      const moved = Object.values(result ?? {}).map((one) => one.data.buffer);
      self.postMessage({ id, result }, moved);
    } catch (error) {
      self.postMessage({ id, error: error.message ?? String(error) });
    }
  });
};

async function start({ module, wasm }) {
  ort = await import(module);
  ort.env.wasm.numThreads = 1; // more need headers that a plain web space does not send
  ort.env.wasm.wasmBinary = wasm;
  ort.env.logLevel = "error";
}

async function add({ part, model, level }) {
  const options = { executionProviders: ["wasm"], graphOptimizationLevel: level };
  sessions[part] = await ort.InferenceSession.create(model, options);
}

// Takes and returns arrays of numbers with their shapes, by name.
async function run({ part, inputs }) {
  const feeds = Object.entries(inputs).map(([name, { data, dims }]) => [
    name,
    new ort.Tensor("float32", data, dims),
  ]);
  const outputs = await sessions[part].run(Object.fromEntries(feeds));
  return Object.fromEntries(
    Object.entries(outputs).map(([name, { data, dims }]) => [name, { data: data.slice(), dims }]),
  );
}
