// A slider with its name and value. Its colour begins at `centre`.

export function slider({ name, label, least, most, step, value, centre }, onInput) {
  const frame = Object.assign(document.createElement("div"), { className: "slider" });
  const id = `slider-${slider.count++}`;
  const title = Object.assign(document.createElement("label"), { textContent: label, htmlFor: id });
  const output = Object.assign(document.createElement("output"), { htmlFor: id });
  const input = Object.assign(document.createElement("input"), {
    type: "range", id, name, min: least, max: most, step, value,
  });
  frame.append(title, output, input);
  connect(input, output, centre, onInput);
  return { frame, input };
}
slider.count = 0;

// Shows the value of a slider beside it, whoever changes it.
export function connect(input, output, centre, onInput) {
  const digits = (String(input.step).split(".")[1] ?? "").length;
  const show = () => {
    const value = Number(input.value);
    output.textContent = (centre === 0 && input.min < 0 && value > 0 ? "+" : "") + value.toFixed(digits);
    output.classList.toggle("zero", value === centre);
    const share = (x) => `${(100 * (x - input.min)) / (input.max - input.min)}%`;
    input.style.setProperty("--from", share(Math.min(value, centre)));
    input.style.setProperty("--to", share(Math.max(value, centre)));
  };
  input.addEventListener("input", () => {
    show();
    onInput();
  });
  input.addEventListener("shown", show);
  show();
}

export function set(input, value) {
  input.value = value;
  input.dispatchEvent(new Event("shown"));
}
