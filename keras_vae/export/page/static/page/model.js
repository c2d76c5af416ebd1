// The model: images to codes, codes to images, and what an attribute adds to a code. Images are
// arrays of numbers from 0 to 1, one after the other.

import { bytes } from "./files.js";

export class Model {
  constructor(page, worker) {
    Object.assign(this, { page, worker, files: {}, waiting: new Map(), count: 0 });
    worker.onmessage = ({ data: { id, result, error } }) => {
      const { resolve, reject } = this.waiting.get(id);
      this.waiting.delete(id);
      if (error === undefined) resolve(result);
      else reject(new Error(error));
    };
  }

  // Returns the code of each image, `latents` numbers each.
  async encode(images) {
    const n = images.length / size(this.page.shape);
    const { [this.page.code]: code } = await this.run("encoder", [images, [n, ...this.page.shape]]);
    return code.data;
  }

  // Returns what strength 1 of each attribute adds to one code: a row of `columns` for each.
  async shifts(code) {
    if (!this.page.parts.shifts) return new Float32Array(0);
    const { shifts } = await this.run("shifts", [code, [1, this.page.latents]]);
    return shifts.data;
  }

  // Returns the images of codes, `columns` numbers each.
  async decode(codes) {
    const { columns } = this.page;
    const { image } = await this.run("decoder", [codes, [codes.length / columns, columns]]);
    return image.data;
  }

  // Returns the codes to which the flow maps noise, `latents` numbers each.
  async flow(noise, signs, n) {
    const wanted = [[noise, [n, this.page.latents]], [signs, [n, signs.length / n]]];
    const { z } = await this.run("sampler", ...wanted);
    return z.data;
  }

  run(part, ...arrays) {
    const names = this.page.parts[part].inputs;
    const inputs = names.map((name, i) => [name, { data: arrays[i][0], dims: arrays[i][1] }]);
    return this.ask("run", { part, inputs: Object.fromEntries(inputs) });
  }

  // Makes a part ready to run. That of the flow takes the longest, so it is left for last.
  async add(part) {
    const model = this.files[part];
    await this.ask("add", { part, model, level: FLOW.includes(part) ? "basic" : "all" }, [model.buffer]);
  }

  ask(task, content, moved = []) {
    const id = this.count++;
    this.worker.postMessage({ id, task, ...content }, moved);
    return new Promise((resolve, reject) => this.waiting.set(id, { resolve, reject }));
  }
}

export const size = (shape) => shape.reduce((product, side) => product * side, 1);

// Returns a code with attributes changed: code + strengths · shifts. It may be longer than the code,
// by a condition, which is 0, unknown, before.
export function moved(code, shifts, strengths, columns) {
  const result = new Float32Array(columns);
  result.set(code);
  strengths.forEach((strength, row) => {
    if (strength === 0) return;
    for (let i = 0; i < columns; i++) result[i] += strength * shifts[row * columns + i];
  });
  return result;
}

// Loads the runtime and all parts, and makes those ready that edits need; calls `progress` with the
// share that has come.
export async function load(page, progress) {
  const parts = Object.entries(page.parts);
  const whole = parts.reduce((sum, [, part]) => sum + part.bytes, RUNTIME_BYTES);
  let come = 0;
  const count = (more) => progress(Math.min(1, (come += more) / whole));
  const { module, wasm } = page.runtime;
  const [worker, code, binary, ...models] = await Promise.all([
    bytes("page/worker.js"),
    ...[module, wasm].map(({ url, integrity }) => bytes(url, { integrity, progress: count })),
    ...parts.map(([, { file }]) => bytes(file, { progress: count })),
  ]);
  const model = new Model(page, new Worker(script(worker), { type: "module" }));
  await model.ask("start", { module: script(code), wasm: binary.buffer }, [binary.buffer]);
  parts.forEach(([part], i) => (model.files[part] = models[i]));
  for (const [part] of parts.filter(([part]) => part !== "sampler")) await model.add(part);
  return model;
}

const RUNTIME_BYTES = 14.3e6;
const FLOW = ["shifts", "sampler"]; // large graphs of small steps: to optimise them takes longer than to run them
const script = (content) => URL.createObjectURL(new Blob([content], { type: "text/javascript" }));
