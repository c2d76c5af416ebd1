// A visitor's photo: the model's view of it, and a change added to it. Like `keras_vae.photos`.

import { BICUBIC, LANCZOS, resize } from "./resize.js";

export const LONGEST = 2048; // pixels; larger photos are reduced
const PREVIEW = 640; // while a slider moves
const FADE = 0.1; // width of the border in which a change fades out

// Returns a picture file as a photo, upright and on white.
export async function read(file) {
  let picture;
  try {
    picture = await createImageBitmap(file);
  } catch {
    throw new Error(`Your browser cannot read ${file.name || "the file"} as a picture`);
  }
  return reduced(picture, LONGEST);
}

// Returns a smaller copy to work with while a slider moves, or the photo itself if it is small.
export async function preview(photo) {
  if (Math.max(photo.width, photo.height) <= PREVIEW) return photo;
  return reduced(await createImageBitmap(photo), PREVIEW);
}

export function reduced(picture, longest) {
  const scale = Math.min(1, longest / Math.max(picture.width, picture.height));
  const width = Math.max(1, Math.round(scale * picture.width));
  const height = Math.max(1, Math.round(scale * picture.height));
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.imageSmoothingQuality = "high";
  context.fillStyle = "white";
  context.fillRect(0, 0, width, height);
  context.drawImage(picture, 0, 0, width, height);
  return context.getImageData(0, 0, width, height);
}

// Returns the model's view of a photo: numbers from 0 to 1.
export function view(photo, shape, how) {
  const [rows, columns, channels] = shape;
  const { width, height } = photo;
  const pixels = withChannels(photo, channels);
  const { box, inside } = seen([height, width], shape, how);
  const [left, top, right, bottom] = inside;
  const isSame = width === columns && height === rows;
  const part = isSame
    ? pixels
    : resize(pixels, [height, width, channels], [bottom - top, right - left], box, LANCZOS, true);
  const result = new Float32Array(rows * columns * channels); // black around it
  const line = (right - left) * channels;
  for (let y = top; y < bottom; y++) {
    const from = (y - top) * line;
    for (let i = 0; i < line; i++) {
      result[(y * columns + left) * channels + i] = part[from + i] / 255;
    }
  }
  return result;
}

// Returns a photo with a change added to the part that the model sees: numbers to add to pixels in
// [0, 1]. The change is enlarged smoothly, and fades out at borders inside the photo.
export function add(photo, change, shape, how) {
  const [, columns, channels] = shape;
  const { width, height } = photo;
  const { box, inside } = seen([height, width], shape, how);
  const x = complete(box[0], box[2]);
  const y = complete(box[1], box[3]);
  const changed = new ImageData(new Uint8ClampedArray(photo.data), width, height);
  if (x[0] >= x[1] || y[0] >= y[1]) return changed;
  const [left, top, right, bottom] = inside;
  const part = []; // of the change: without the borders around a padded picture
  for (let row = top; row < bottom; row++) {
    const line = row * columns;
    part.push(...change.subarray((line + left) * channels, (line + right) * channels));
  }
  const at = (position, from, to, size) => ((position - from) / (to - from)) * size;
  const [wide, high] = [right - left, bottom - top];
  const place = [
    at(x[0], box[0], box[2], wide),
    at(y[0], box[1], box[3], high),
    at(x[1], box[0], box[2], wide),
    at(y[1], box[1], box[3], high),
  ];
  const layer = resize(part, [high, wide, channels], [y[1] - y[0], x[1] - x[0]], place, BICUBIC);
  const across = fade(x, width);
  const down = fade(y, height);
  for (let row = y[0], from = 0; row < y[1]; row++) {
    for (let column = x[0]; column < x[1]; column++, from += channels) {
      const weight = 255 * down[row - y[0]] * across[column - x[0]];
      const to = (row * width + column) * 4;
      for (let c = 0; c < 3; c++) {
        changed.data[to + c] = photo.data[to + c] + weight * layer[from + (c % channels)];
      }
    }
  }
  return changed;
}

// Returns the part of a photo that the model sees, and its place in the model's image.
function seen([height, width], [rows, columns], how) {
  if (how === "pad") {
    const scale = Math.min(columns / width, rows / height);
    const inner = [width, height].map((side) => Math.max(1, Math.round(side * scale)));
    const left = Math.floor((columns - inner[0]) / 2);
    const top = Math.floor((rows - inner[1]) / 2);
    const inside = [left, top, left + inner[0], top + inner[1]];
    return { box: [0, 0, width, height], inside };
  }
  const scale = Math.min(width / columns, height / rows);
  const left = (width - scale * columns) / 2;
  const top = (height - scale * rows) / 2;
  return { box: [left, top, width - left, height - top], inside: [0, 0, columns, rows] };
}

// Returns the colours without transparency; grey as Pillow computes it.
function withChannels({ data }, channels) {
  const count = data.length / 4;
  const result = new Uint8ClampedArray(count * channels);
  for (let i = 0; i < count; i++) {
    const [r, g, b] = [data[4 * i], data[4 * i + 1], data[4 * i + 2]];
    if (channels === 1) result[i] = (r * 19595 + g * 38470 + b * 7471 + 0x8000) >> 16;
    else result.set([r, g, b], 3 * i);
  }
  return result;
}

// Returns the first complete pixel between two positions, and the one after the last.
const complete = (from, to) => [Math.ceil(from - 1e-6), Math.floor(to + 1e-6)];

function fade([from, to], length) {
  const count = to - from;
  const ramp = (i) => Math.min((i + 0.5) / (FADE * count), 1);
  const smooth = (r) => r * r * (3 - 2 * r);
  return Float32Array.from({ length: count }, (_, i) => {
    const start = from > 0 ? smooth(ramp(i)) : 1;
    return to < length ? start * smooth(ramp(count - 1 - i)) : start;
  });
}
