// Changes the size of pictures as Pillow does, which prepared the images that the model knows.

const sinc = (x) => (x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x));

export const LANCZOS = { reach: 3, at: (x) => (Math.abs(x) < 3 ? sinc(x) * sinc(x / 3) : 0) };
export const BICUBIC = {
  reach: 2,
  at(x) {
    const d = Math.abs(x);
    if (d < 1) return (1.5 * d - 2.5) * d * d + 1;
    return d < 2 ? ((-0.5 * d + 2.5) * d - 4) * d + 2 : 0;
  },
};

// Returns the part of a picture inside `box` (left, top, right, bottom) in another size.
//   source: numbers, (height, width, channels) one after the other
//   whole: whether pixels are whole numbers from 0 to 255, also after the first of the two passes
export function resize(source, [height, width, channels], [rows, columns], box, filter, whole) {
  const across = weights(width, box[0], box[2], columns, filter);
  const down = weights(height, box[1], box[3], rows, filter);
  const make = (length) => (whole ? new Uint8ClampedArray(length) : new Float32Array(length));
  // Only the lines that the second pass reads.
  const first = down[0].start;
  const lines = down[rows - 1].start + down[rows - 1].weights.length - first;
  const between = make(lines * columns * channels);
  for (let y = 0; y < lines; y++) {
    for (let x = 0; x < columns; x++) {
      const { start, weights } = across[x];
      for (let c = 0; c < channels; c++) {
        let sum = 0;
        let place = ((y + first) * width + start) * channels + c;
        for (let i = 0; i < weights.length; i++, place += channels) sum += source[place] * weights[i];
        between[(y * columns + x) * channels + c] = sum;
      }
    }
  }
  const result = make(rows * columns * channels);
  const line = columns * channels;
  const sums = new Float64Array(line);
  for (let y = 0; y < rows; y++) {
    const { start, weights } = down[y];
    sums.fill(0);
    for (let i = 0; i < weights.length; i++) {
      const place = (start - first + i) * line;
      for (let x = 0; x < line; x++) sums[x] += between[place + x] * weights[i];
    }
    result.set(sums, y * line);
  }
  return result;
}

// Returns the pixels that each new pixel is made of, and their weights.
function weights(length, from, to, count, filter) {
  const scale = (to - from) / count;
  const stretch = Math.max(scale, 1);
  const reach = filter.reach * stretch;
  return Array.from({ length: count }, (_, i) => {
    const centre = from + (i + 0.5) * scale;
    const start = Math.max(0, Math.trunc(centre - reach + 0.5));
    const stop = Math.min(length, Math.trunc(centre + reach + 0.5));
    const values = new Float64Array(stop - start);
    let sum = 0;
    for (let x = start; x < stop; x++) {
      sum += values[x - start] = filter.at((x - centre + 0.5) / stretch);
    }
    return { start, weights: values.map((value) => value / sum) };
  });
}
