// What stands around the histogram: its types, to press, and how much time it shows.

import { $, el, text } from "/dom.js";
import { colorName, MARKED } from "/colors.js";
import { RANGES } from "/address.js";

const MAXIMUM_TYPES = 9;

/** A button for each type, the most frequent first; pressed, only these types are shown. */
export function renderLegend({ series, width, left_out: leftOut }, filters) {
  const named = series.filter(({ type }, index) => index < MAXIMUM_TYPES || MARKED.includes(type) || filters.types.includes(type));
  const rest = series.filter((one) => !named.includes(one));
  const buttons = named.map(({ type, total }) => {
    const isPressed = filters.types.includes(type);
    return el("button", {
      type: "button", "data-type": type, "data-color": colorName(type), title: type, "aria-pressed": String(isPressed),
      class: filters.types.length && !isPressed ? "off" : null, onclick: () => filters.toggleType(type),
    }, el("i", { class: "swatch", "aria-hidden": "true" }), el("span", { class: "type" }, type), " ", el("b", {}, total.toLocaleString("en")));
  });
  const box = $("legend");
  const types = rest.length + (leftOut?.types ?? 0);
  const count = rest.reduce((sum, { total }) => sum + total, leftOut?.events ?? 0);
  const more = types ? `${types.toLocaleString("en")} more ${types === 1 ? "type" : "types"} with ${count.toLocaleString("en")} events; ` : "";
  const scale = `${more}a bar is ${duration(width)}`;
  // Buttons stay, so that one which the user is about to press is not taken away.
  const old = [...box.querySelectorAll("button")];
  if (old.length && old.length === buttons.length && old.every((button, index) => button.dataset.type === buttons[index].dataset.type)) {
    old.forEach((button, index) => copy(buttons[index], button));
    text(box.lastChild, scale);
  } else {
    box.replaceChildren(...buttons, el("span", { class: "rest" }, scale));
  }
}

/** The lengths of time to choose from. */
export function renderRanges(filters) {
  const box = $("ranges");
  if (box.childElementCount === 0) {
    box.append(...RANGES.map(([name]) => el("button", {
      type: "button", role: "radio", onclick: () => filters.change({ range: name }),
    }, name)));
  }
  for (const button of box.children) button.setAttribute("aria-checked", String(filters.range === button.textContent));
}

function copy(from, to) {
  to.className = from.className;
  to.setAttribute("aria-pressed", from.getAttribute("aria-pressed"));
  text(to.lastChild, from.lastChild.textContent);
}

const duration = (milliseconds) => milliseconds < 60_000 ? `${milliseconds / 1000} s` : milliseconds < 3_600_000
  ? `${milliseconds / 60_000} min` : `${milliseconds / 3_600_000} h`;
