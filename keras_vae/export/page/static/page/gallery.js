// Draw new ones: images from random codes, by seed, temperature and wished attributes.

import { WORDS } from "./draws.js";
import { folded } from "./edit.js";
import { size } from "./model.js";
import { choice, toPixels } from "./pictures.js";
import { connect } from "./slider.js";
import { element, latest, report } from "./words.js";

const COUNT = 12;
const NEVER = 2 ** 32; // seeds are below

// Builds the section; a click on an image gives it to `start`. `codes` is a `source` of draws.js.
export function build(page, model, codes, start) {
  element("draw").hidden = false;
  if (!codes) {
    element("no-draws").hidden = false;
    document.querySelectorAll("#draw .columns, #draw-about").forEach((one) => (one.hidden = true));
    return Promise.resolve();
  }
  element("another").hidden = false;
  element("draw-about").textContent = `${WORDS[page.draws.from]}. Choose an image to edit it.`;
  const seed = element("seed");
  const temperature = element("temperature");
  const wishes = wishList(page, () => draw());

  const draw = latest(async () => {
    const number = Math.min(NEVER - 1, Math.max(0, Math.trunc(Number(seed.value) || 0)));
    const drawn = await codes(COUNT, number, Number(temperature.value), wishes());
    const images = await model.decode(drawn);
    const length = size(page.shape);
    const choices = Array.from({ length: COUNT }, (_, i) => {
      const pixels = toPixels(images.subarray(i * length, (i + 1) * length), page.shape);
      return choice(pixels, `New image ${i + 1}`, (button) => {
        const behavior = matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth";
        element("edit").scrollIntoView({ behavior, block: "start" });
        report(start(pixels, button));
      });
    });
    element("samples").replaceChildren(...choices);
  });

  temperature.max = page.mostTemperature;
  connect(temperature, element("temperature-value"), 0, () => draw());
  seed.addEventListener("input", () => draw());
  element("again").addEventListener("click", () => {
    seed.value = Math.floor(NEVER * Math.random());
    draw();
  });
  element("another").addEventListener("click", () => {
    const one = codes(1, Math.floor(NEVER * Math.random())).then((code) => model.decode(code));
    report(one.then((image) => start(toPixels(image, page.shape))));
  });
  return draw();
}

// Lays out the wishes; returns a function that gives them, true or false by name.
function wishList({ wishes: { classes, attributes }, labels, inView }, onChange) {
  const frames = [];
  const asked = [];
  if (classes.length) {
    const menu = document.createElement("select");
    menu.append(new Option("any", ""), ...classes.map((name) => new Option(labels[name], name)));
    menu.id = "wish-class";
    const title = Object.assign(document.createElement("label"), { textContent: "Class", htmlFor: menu.id });
    const frame = Object.assign(document.createElement("div"), { className: "seed" });
    frame.append(title, menu);
    menu.addEventListener("change", onChange);
    frames.push(frame);
    asked.push(() => (menu.value ? [[menu.value, true]] : []));
  }
  const rows = attributes.map((name, number) => {
    const { frame, value } = wish(name, labels[name], number, onChange);
    asked.push(() => (value() === "any" ? [] : [[name, value() === "with"]]));
    return frame;
  });
  element("wishes").append(...frames, ...folded(rows, inView));
  return () => Object.fromEntries(asked.flatMap((one) => one()));
}

function wish(name, label, number, onChange) {
  const frame = Object.assign(document.createElement("fieldset"), { className: "wish" });
  const title = Object.assign(document.createElement("legend"), { textContent: label });
  const inputs = ["any", "with", "without"].map((value) =>
    Object.assign(document.createElement("input"), {
      type: "radio", name: `wish-${number}`, value, checked: value === "any",
    }),
  );
  frame.append(title, ...inputs.map((input) => {
    const part = document.createElement("label");
    const text = Object.assign(document.createElement("span"), { textContent: input.value });
    part.append(input, text);
    return part;
  }));
  frame.addEventListener("change", onChange);
  return { frame, value: () => inputs.find((input) => input.checked).value };
}
