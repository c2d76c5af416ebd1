// New codes, from the source that the model has: its flow, a mixture of Gaussians, or N(0, I).

import { bytes } from "./files.js";
import { choose, generator, normal } from "./noise.js";
import { condition, matching } from "./signs.js";

export const WORDS = {
  flow: "Codes come from the flow, a network that turns noise into codes",
  mixture: "Codes come from a mixture of Gaussians that was fitted to the codes of training images",
  prior: "Codes come from the prior, the distribution towards which training pulled the codes",
};

// Returns a function (count, seed, temperature, wishes) that resolves to codes for the decoder,
// `columns` numbers each; or null, if the model has no source of codes.
export async function source(page, model) {
  const { draws, latents, columns } = page;
  if (!draws) return null;
  if (draws.from === "flow") await model.add("sampler");
  const mixture = draws.file ? await readMixture(draws, latents) : null;

  return async (count, seed, temperature = 1, wishes = {}) => {
    const random = generator(seed);
    let codes;
    if (draws.from === "flow") {
      const { signs, counts } = matching(draws, wishes);
      const chosen = Array.from({ length: count }, () => signs[choose(random, counts)]);
      const noise = normal(random, count * latents, temperature);
      codes = await model.flow(noise, Float32Array.from(chosen.flat()), count);
    } else if (mixture) {
      codes = fromMixture(mixture, latents, random, count, temperature);
    } else {
      codes = normal(random, count * latents, temperature);
    }
    const extra = draws.condition ? condition(draws.condition, wishes) : [];
    return widened(codes, latents, columns, extra);
  };
}

// Returns codes followed by a condition; zeros, which say that nothing is known, by default.
function widened(codes, latents, columns, extra) {
  if (columns === latents) return codes;
  const count = codes.length / latents;
  const result = new Float32Array(count * columns);
  for (let i = 0; i < count; i++) {
    result.set(codes.subarray(i * latents, (i + 1) * latents), i * columns);
    result.set(extra, i * columns + latents);
  }
  return result;
}

async function readMixture({ file, components, diagonal }, latents) {
  const numbers = new Float32Array((await bytes(file)).buffer);
  const middle = components + components * latents;
  return {
    weights: Array.from(numbers.subarray(0, components)),
    means: numbers.subarray(components, middle),
    factors: numbers.subarray(middle),
    diagonal,
  };
}

function fromMixture({ weights, means, factors, diagonal }, latents, random, count, temperature) {
  const codes = new Float32Array(count * latents);
  for (let i = 0; i < count; i++) {
    const k = choose(random, weights);
    const noise = normal(random, latents, temperature);
    for (let row = 0; row < latents; row++) {
      const place = k * latents + row;
      let sum = diagonal ? factors[place] * noise[row] : 0;
      for (let j = 0; !diagonal && j <= row; j++) sum += factors[place * latents + j] * noise[j];
      codes[i * latents + row] = means[place] + sum;
    }
  }
  return codes;
}
