// Who has signed an event: shown when the dashboard has been told whom to trust.

import { text } from "/dom.js";

const SIGNS = { signed: "✓", unsigned: "–", forged: "✕ forged" };

/** What an event's signature says, in words; nothing when it was not checked. */
export function signed({ signature, signature_reason: reason }) {
  if (!Object.hasOwn(SIGNS, signature ?? "")) return "";
  return signature === "signed" ? "signed by its node" : signature === "forged" ? `forged: ${reason}` : "unsigned";
}

/** Makes an element the sign of that. */
export function mark(element, event) {
  const words = signed(event);
  element.hidden = !words;
  element.dataset.signature = event.signature ?? "";
  element.ariaLabel = words;
  text(element, words && SIGNS[event.signature]);
}
