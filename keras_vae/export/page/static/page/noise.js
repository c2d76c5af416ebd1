// Random numbers from a seed: the same on every device, up to rounding.

// Returns a function that gives numbers in [0, 1) (sfc32 by Chris Doty-Humphrey, PractRand).
export function generator(seed) {
  let [a, b, c, d] = [0x9e3779b9, 0x243f6a88, seed >>> 0, 1];
  const next = () => {
    const t = (((a + b) | 0) + d) | 0;
    d = (d + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (c << 21) | (c >>> 11);
    c = (c + t) | 0;
    return (t >>> 0) / 2 ** 32;
  };
  for (let i = 0; i < 15; i++) next(); // so that close seeds differ
  return next;
}

// Returns draws from N(0, temperature²), by the method of Box and Muller.
export function normal(random, count, temperature = 1) {
  const result = new Float32Array(count);
  for (let i = 0; i < count; i += 2) {
    const radius = temperature * Math.sqrt(-2 * Math.log(1 - random()));
    const angle = 2 * Math.PI * random();
    result[i] = radius * Math.cos(angle);
    if (i + 1 < count) result[i + 1] = radius * Math.sin(angle);
  }
  return result;
}

// Returns a place in a list, drawn in proportion to the list's numbers.
export function choose(random, weights) {
  let rest = random() * weights.reduce((sum, weight) => sum + weight, 0);
  const place = weights.findIndex((weight) => (rest -= weight) < 0);
  return place < 0 ? weights.length - 1 : place;
}
