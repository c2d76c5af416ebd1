// Images on canvases, and files of them.

const SHOWN = 512; // pixels of a canvas on which a small image is shown

// Returns an image of the model, numbers from 0 to 1, as pixels.
export function toPixels(image, [height, width, channels]) {
  const pixels = new ImageData(width, height);
  for (let i = 0; i < width * height; i++) {
    for (let c = 0; c < 3; c++) pixels.data[4 * i + c] = 255 * image[channels * i + (c % channels)];
    pixels.data[4 * i + 3] = 255;
  }
  return pixels;
}

// Shows pixels on a canvas, small ones enlarged smoothly.
export function show(canvas, pixels, shown = SHOWN) {
  const scale = Math.max(1, shown / Math.max(pixels.width, pixels.height));
  const [width, height] = [pixels.width, pixels.height].map((side) => Math.round(scale * side));
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  const context = canvas.getContext("2d");
  if (scale === 1) {
    context.putImageData(pixels, 0, 0);
    return;
  }
  const small = Object.assign(document.createElement("canvas"), {
    width: pixels.width,
    height: pixels.height,
  });
  small.getContext("2d").putImageData(pixels, 0, 0);
  context.imageSmoothingQuality = "high";
  context.drawImage(small, 0, 0, width, height);
}

// Saves pixels as a file, small ones enlarged smoothly to `shown` pixels.
export async function download(pixels, name, shown) {
  const canvas = document.createElement("canvas");
  show(canvas, pixels, shown);
  const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
  const link = Object.assign(document.createElement("a"), {
    href: URL.createObjectURL(blob),
    download: name,
  });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

// Returns a button that shows pixels and calls `onClick` with itself.
export function choice(pixels, label, onClick) {
  const button = Object.assign(document.createElement("button"), { type: "button", className: "choice" });
  const canvas = document.createElement("canvas");
  show(canvas, pixels, 192);
  button.setAttribute("aria-label", label);
  button.append(canvas);
  button.addEventListener("click", () => onClick(button));
  return button;
}
