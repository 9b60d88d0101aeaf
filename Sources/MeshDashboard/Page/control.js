// Buttons that start, stop and restart a tool, when this page may.

import { el, request, text } from "/dom.js";

const ACTIONS = ["start", "stop", "restart"];
const ACTIVE = ["starting", "running", "backing_off", "stopping"];

let isAllowed = false;

/** Whether the server takes requests about tools. */
export function allowControl(value) { isAllowed = value === true; }

/** Shows the buttons of a tool behind its state. */
export function fillControl(cell, { node, name, state, uncertain }) {
  let box = cell.querySelector(".control");
  if (!isAllowed || state === "removed") return box?.remove();
  if (!box) cell.append(box = el("span", { class: "control" }, ...ACTIONS.map((action) => button(action, cell)), el("span", { class: "refused", role: "alert" })));
  if (box.dataset.node !== node || box.dataset.tool !== name) text(box.lastChild, "");
  box.dataset.node = node;
  box.dataset.tool = name;
  const isActive = ACTIVE.includes(state);
  for (const each of box.querySelectorAll("button")) {
    each.hidden = uncertain || (each.dataset.action === "start" ? isActive : !isActive);
    each.setAttribute("aria-label", `${each.dataset.action} ${name} on ${node}`);
  }
}

function button(action, cell) {
  return el("button", { type: "button", "data-action": action, onclick: ({ currentTarget }) => ask(action, currentTarget, cell) }, action);
}

async function ask(action, pressed, cell) {
  const box = cell.querySelector(".control");
  const { node, tool } = box.dataset;
  if (action !== "start" && !confirm(`${action} ${tool} on ${node}?`)) return;
  pressed.disabled = true;
  text(box.lastChild, "");
  try {
    await request("/api/tools", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ action, node, tool }),
    });
  } catch (error) {
    // Meanwhile the row may have become that of another tool.
    if (box.dataset.node === node && box.dataset.tool === tool) text(box.lastChild, error.message);
  } finally {
    pressed.disabled = false;
  }
}
