// What the keyboard does.

import { $, el } from "/dom.js";

const KEYS = [
  ["/", "search in type, node and data"], ["p", "pause, or go on"], ["j  k", "next and previous event"],
  ["Enter", "open the event"], ["Esc", "close, or show all times again"], ["g", "to the newest event"],
  ["c", "clear the filters"], ["t", "light, dark or as the system"], ["w", "the wall: large, for a screen in the corner"], ["l", "copy the link to what is shown"], ["?", "this help"],
];

/** `actions` has a function for each name. */
export function installKeys({ list, detail, filters, actions }) {
  $("keys").replaceChildren(...KEYS.flatMap(([keys, what]) => [
    el("dt", {}, ...keys.split("  ").map((key) => el("kbd", {}, key))), el("dd", {}, what),
  ]));
  const openHelp = () => { if (!$("help").open) $("help").showModal(); };
  $("help-open").addEventListener("click", openHelp);

  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    const isTyping = event.target.closest?.("input, select, textarea");
    if (event.key === "Escape") {
      if (isTyping) event.target.blur();
      else if (detail.isOpen) detail.close();
      else if (filters.isBounded) filters.change({ since: null, until: null });
      return;
    }
    if (isTyping) return;
    const isOnList = event.target === list.element || event.target === document.body;
    const action = {
      "/": () => { $("text").focus(); $("text").select(); },
      p: actions.pause, t: actions.theme, w: actions.wall, l: actions.link, c: () => filters.clear(), "?": openHelp, g: () => list.toNewest(),
      j: () => list.move(1), k: () => list.move(-1),
      ArrowDown: isOnList && (() => list.move(1)), ArrowUp: isOnList && (() => list.move(-1)),
      Enter: isOnList && (() => list.open()),
    }[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  });
}
