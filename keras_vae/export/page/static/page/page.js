// The page: loads the model, then builds its sections.

import { source } from "./draws.js";
import * as edit from "./edit.js";
import { bitmap, json, keepAll } from "./files.js";
import * as gallery from "./gallery.js";
import { load } from "./model.js";
import { LONGEST, reduced } from "./photo.js";
import { choice } from "./pictures.js";
import { element, report } from "./words.js";

let failed = false; // other files may still come
export const ready = begin(); // the page's content, the model, and its source of codes
ready.then(goOffline, (error) => {
  failed = true;
  element("progress").textContent = `The page cannot start: ${error.message}`;
  element("progress").classList.add("wrong");
  element("loading").hidden = false;
  element("bar").hidden = true;
});

async function begin() {
  const page = await json("page/page.json");
  describe(page);
  const model = await load(page, (share) => {
    if (failed) return;
    element("bar").value = share;
    element("progress").textContent = `Loading the model … ${Math.round(100 * share)} %`;
  });
  element("progress").textContent = "Starting …";
  const editor = edit.build(page, model);
  const examples = await Promise.all(page.examples.map(bitmap));
  const buttons = examples.map((picture, i) => {
    const pixels = reduced(picture, LONGEST);
    return choice(pixels, `Example ${i + 1}`, (button) => report(editor.start(pixels, button)));
  });
  element("examples").append(...buttons);
  if (examples.length) await editor.start(reduced(examples[0], LONGEST), buttons[0]);
  element("loading").hidden = true;
  const codes = await source(page, model);
  await gallery.build(page, model, codes, editor.start);
  if (!examples.length && codes) element("another").click();
  document.documentElement.dataset.ready = "";
  return { page, model, codes };
}

function describe(page) {
  const [height, width] = page.shape;
  const name = page.name ? ` of the data set ${page.name}` : "";
  const what = page.edits.length ? "The sliders change these numbers so that an attribute changes." : "";
  element("about").textContent =
    `A small neural network turns an image${name} into ${page.latents} numbers and back. ${what}`;
  const size = Object.values(page.parts).reduce((sum, part) => sum + part.bytes, 0);
  element("facts").textContent =
    `${page.code === "z" ? "An" : "A variational"} autoencoder made with keras_vae, ` +
    `${(size / 1e6).toFixed(1)} MB, for images of ${width} × ${height} pixels. Like all models, it makes ` +
    "mistakes, above all with pictures unlike those that it was trained on.";
}

async function goOffline() {
  const isKept = await keepAll().catch(() => false);
  element("offline").textContent = isKept
    ? "Kept in this browser: the page now also works without a network."
    : "";
  if (isKept) document.documentElement.dataset.offline = "";
}
