// Elements without markup: what comes from the mesh only ever becomes text, in which nothing is hidden.

import { sessionHeaders } from "/session.js";

export const $ = (id) => document.getElementById(id);

/**
 * What is not seen, or makes two texts look alike, as on a terminal (SafeText): control and format characters, line and
 * paragraph separators, what has no meaning, letters that show nothing, joiners and variation selectors behind ASCII, and
 * more marks than a letter has. Tabs and line breaks are shown.
 */
const HIDDEN = new RegExp([
  "(?![\\t\\n\\r\\u200c\\u200d])[\\p{Cc}\\p{Cf}\\p{Zl}\\p{Zp}\\p{Cs}\\p{Co}\\p{Cn}\\u034f\\u115f\\u1160\\u17b4\\u17b5\\u2800\\u3164\\uffa0]",
  "(?<=^|\\p{ASCII})[\\u200c\\u200d]",
  "(?<=[A-Za-z])[\\u180b-\\u180d\\u180f\\ufe00-\\ufe0f\\u{e0100}-\\u{e01ef}]",
  "(?<=[\\p{Mn}\\p{Me}]{6})[\\p{Mn}\\p{Me}]",
].join("|"), "gu");

/** The text with these characters as JSON would escape them: what is shown is what there is. */
export const visible = (value) => value.replace(HIDDEN, (character) =>
  character.split("").map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`).join(""));

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

/** Puts text where the user can paste it from; returns whether that was possible. */
export async function copied(value) {
  try {
    await navigator.clipboard.writeText(value);
    return true;
  } catch {
    // Without HTTPS there is no such clipboard, but what is selected can be copied.
    const field = el("textarea", { class: "sr", "aria-hidden": "true", tabindex: "-1" });
    const focused = document.activeElement;
    field.value = value;
    (focused?.closest("dialog") ?? document.body).append(field);
    field.select();
    const isDone = document.execCommand("copy");
    field.remove();
    focused?.focus?.({ preventScroll: true });
    return isDone;
  }
}

/** What is answered, as JSON; throws an error with `status`, `code` and a message that says what to do. */
export async function request(path, options = {}) {
  let answer;
  try {
    answer = await fetch(path, { ...options, headers: { accept: "application/json", ...sessionHeaders(), ...options.headers } });
  } catch {
    throw Object.assign(new Error("The dashboard cannot be reached."), { status: 0, code: "unreachable" });
  }
  if (!answer.ok) throw await refusal(answer);
  return answer.json().catch(() => null);
}

/** The error that an answer other than 200 means. */
export async function refusal(answer) {
  const body = await answer.json().catch(() => null);
  const error = body?.error ?? {};
  return Object.assign(new Error(error.message ?? `The dashboard answered ${answer.status}.`), {
    status: answer.status, code: error.code ?? "",
  });
}
