// Elements without markup: what comes from the mesh only ever becomes text, in which nothing is hidden.

export const $ = (id) => document.getElementById(id);

/** Control characters and those that turn the direction of a text around, but for tabs and line breaks. */
const HIDDEN = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]/g;

/** The text with these characters as JSON would escape them: what is shown is what there is. */
export const visible = (value) => value.replace(HIDDEN, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`);

/** An element: `el("p", { class: "dim", title: "…" }, "text", otherElement)`. */
export function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  set(element, attributes);
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== false)
    .map((child) => typeof child === "string" ? visible(child) : child));
  return element;
}

const SVG = "http://www.w3.org/2000/svg";

/** An element of SVG. */
export function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, tag);
  set(element, attributes);
  element.append(...children);
  return element;
}

function set(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "title" || name === "aria-label") element.setAttribute(name, visible(value));
    else element.setAttribute(name, value === true ? "" : value);
  }
}

/** Puts text there, and touches nothing when it is there already. */
export function text(element, value) {
  const shown = visible(value);
  if (element.textContent !== shown) element.textContent = shown;
}

/** The title of an element, likewise. */
export function title(element, value) {
  const shown = visible(value);
  if (element.title !== shown) element.title = shown;
}

/** Calls `body` once, `milliseconds` after the last call. */
export function debounced(milliseconds, body) {
  let timer = 0;
  return (...values) => {
    clearTimeout(timer);
    timer = setTimeout(() => body(...values), milliseconds);
  };
}

/** Calls `body` before the next picture, however often it is asked for. */
export function once(body) {
  let isAsked = false;
  return () => {
    if (isAsked) return;
    isAsked = true;
    const run = () => { isAsked = false; body(); };
    // A tab that is hidden draws nothing, but is to be right when it is seen again.
    if (document.hidden) setTimeout(run, 250); else requestAnimationFrame(run);
  };
}

/** What is answered, as JSON; throws an error with `status`, `code` and a message that says what to do. */
export async function request(path, options = {}) {
  let answer;
  try {
    answer = await fetch(path, { ...options, headers: { accept: "application/json", ...options.headers } });
  } catch {
    throw Object.assign(new Error("The dashboard cannot be reached."), { status: 0, code: "unreachable" });
  }
  const body = await answer.json().catch(() => null);
  if (answer.ok) return body;
  const error = body?.error ?? {};
  throw Object.assign(new Error(error.message ?? `The dashboard answered ${answer.status}.`), {
    status: answer.status, code: error.code ?? "",
  });
}
