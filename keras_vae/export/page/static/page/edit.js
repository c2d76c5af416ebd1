// Edit: change attributes of an image by sliders.

import { moved } from "./model.js";
import * as photos from "./photo.js";
import { download, show, toPixels } from "./pictures.js";
import { set, slider } from "./slider.js";
import { element, latest, report } from "./words.js";

// Builds the section; returns a function that starts from a photo.
export function build(page, model) {
  const names = page.edits;
  const inputs = sliders(page, () => {
    asked = performance.now();
    draw();
  });
  const keep = element("keep-detail");
  const [before, after] = [element("before"), element("after")];
  let asked = null; // when the visitor last moved a slider
  let start = null; // the image to edit, and what the model says of it
  let result = null;

  const strengths = () => names.map((name) => Number(inputs[name].value));
  const keepsDetail = () => names.length > 0 && keep.checked;

  async function begin(photo) {
    const image = photos.view(photo, page.shape, page.resize);
    const code = await model.encode(image);
    const [shifts, drawn, preview] = await Promise.all([
      model.shifts(code),
      model.decode(moved(code, [], [], page.columns)),
      photos.preview(photo),
    ]);
    start = { photo, preview, code, shifts, drawn, edited: null };
    await draw();
  }

  const draw = latest(async () => {
    if (!start) return;
    const { code, shifts, preview, drawn } = start;
    const current = start;
    const since = asked;
    current.edited = await model.decode(moved(code, shifts, strengths(), page.columns));
    if (current !== start) return;
    const detailed = keepsDetail();
    result = detailed ? withDetail(preview) : toPixels(start.edited, page.shape);
    show(before, detailed ? preview : toPixels(drawn, page.shape));
    show(after, result);
    const what = detailed ? "your picture" : "redrawn by the model";
    element("before-title").lastChild.textContent = `: ${what}`;
    if (since !== null && since === asked) {
      const milliseconds = Math.max(1, Math.round(performance.now() - since));
      element("told").textContent = `Answered in ${milliseconds} ms, on this device`;
    }
  });

  function withDetail(photo) {
    const change = start.edited.map((value, i) => value - start.drawn[i]);
    return photos.add(photo, change, page.shape, page.resize);
  }

  keep.checked = page.keepDetail;
  keep.addEventListener("change", draw);
  element("reset").addEventListener("click", () => {
    Object.values(inputs).forEach((input) => set(input, 0));
    asked = performance.now();
    draw();
  });
  element("download").addEventListener("click", () => {
    if (!start?.edited) return;
    if (keepsDetail()) download(withDetail(start.photo), "edited.png", 0);
    else download(result, "edited.png");
  });
  element("upload").addEventListener("change", ({ target }) => {
    const [file] = target.files;
    target.value = ""; // so that the same file can be chosen again
    if (file) report(photos.read(file).then(api.start));
  });
  for (const id of ["keep", "reset"]) element(id).hidden = names.length === 0;
  element("no-edits").hidden = names.length > 0;
  element("edit").hidden = false;

  const api = {
    // Starts from a photo; `chosen` is the button that shows it, if there is one.
    start(photo, chosen) {
      document.querySelectorAll(".choice").forEach((one) => {
        one.setAttribute("aria-pressed", one === chosen);
      });
      return begin(photo);
    },
  };
  return api;
}

// Lays out a slider for each attribute; returns the inputs by name.
function sliders({ shown, labels, strength, inView }, onInput) {
  const inputs = {};
  const frames = shown.map((name, i) => {
    const value = i === 0 ? strength.start : 0; // the page opens with an edit at work
    const range = { least: -strength.most, most: strength.most, step: 0.1, centre: 0 };
    const { frame, input } = slider({ name, label: labels[name], value, ...range }, onInput);
    inputs[name] = input;
    return frame;
  });
  element("sliders").append(...folded(frames, inView));
  return inputs;
}

// Returns the first elements, and a fold that holds the others.
export function folded(frames, inView) {
  if (frames.length <= inView) return frames;
  const fold = document.createElement("details");
  const title = document.createElement("summary");
  title.textContent = `${frames.length - inView} more`;
  fold.append(title, ...frames.slice(inView));
  return [...frames.slice(0, inView), fold];
}
