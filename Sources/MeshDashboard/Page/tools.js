// Tools as a table.

import { $, el, text, title } from "/dom.js";
import { fillControl } from "/control.js";
import { absolute, ago, parse } from "/times.js";
import { fillUsage } from "/usage.js";
import { isUnhealthy } from "/trouble.js";

const LABELS = ["Tool", "Node", "Version", "State", "Restarts", "Last error", "Since", "Uses"];

/** So many rows can be looked at; what is beyond is counted. */
const MAXIMUM = 300;

/**
 * `all` tools in their order, each with the `node` it runs on; `missing` ones are not among them. `samples` has what they
 * used before.
 */
export function renderTools(all, isKnown, missing, samples) {
  const body = $("tools");
  const tools = all.slice(0, MAXIMUM);
  const more = all.length - tools.length + missing;
  $("tools-more").hidden = more === 0;
  text($("tools-more"), `and ${more.toLocaleString("en")} more`);
  const empty = $("tools-empty");
  empty.hidden = tools.length > 0 || !isKnown;
  if (!empty.hidden && !empty.childNodes.length) {
    empty.append(el("p", {}, "No tools. A node runs those of its manifest:"), el("code", {}, "mesh-events serve --config mesh.yaml"));
  }
  body.closest("table").hidden = tools.length === 0;
  while (body.rows.length > tools.length) body.deleteRow(-1);
  while (body.rows.length < tools.length) body.append(makeRow());
  tools.forEach((tool, index) => fillRow(body.rows[index], tool, samples.of(tool)));
}

function makeRow() {
  return el("tr", {}, ...LABELS.map((label, index) => el(index ? "td" : "th",
    { "data-label": label, scope: index ? null : "row", class: { Restarts: "number", Uses: "usage" }[label] ?? null },
    label === "State" ? el("span", { class: "state" }) : index ? "" : el("button", { type: "button", class: "open-log" }))));
}

function fillRow(row, tool, samples) {
  const [name, node, version, state, restarts, error, since, usage] = row.cells;
  const time = tool.since ? parse(tool.since) : null;
  row.tool = tool;
  const open = name.firstChild;
  open.disabled = document.body.dataset.logs !== "true";
  text(open, tool.name);
  const shown = isUnhealthy(tool) ? "unhealthy" : tool.ready === false ? "not_ready" : tool.state;
  const problem = tool.unhealthy ?? tool.last_error ?? "";
  row.dataset.state = shown;
  title(name, tool.name);
  text(node, tool.node);
  title(node, tool.node);
  text(version, tool.version ?? "");
  title(version, tool.version ?? "");
  text(state.firstChild, (shown === "not_ready" ? "running, not ready" : shown.replace("_", " ")) + (tool.uncertain ? "?" : ""));
  state.firstChild.dataset.status = shown;
  const next = tool.next_start ? parse(tool.next_start) : null;
  const reasons = [tool.stop_reason, tool.status_text, next && "next run " + absolute(next)].filter(Boolean).join("; ");
  title(state, tool.uncertain ? "Its node is unreachable: this is what it last did" : reasons);
  fillControl(state, tool);
  text(restarts, String(tool.restart_count));
  restarts.dataset.count = tool.restart_count;
  text(error, problem);
  title(error, problem);
  text(since, time ? ago(time) : "");
  title(since, time ? absolute(time) : "");
  fillUsage(usage, tool, samples);
}
