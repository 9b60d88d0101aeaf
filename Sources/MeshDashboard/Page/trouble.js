// What is in trouble comes first, in the order of `mesh-events status`.

import { parse } from "/times.js";

const FAILED = 0, DEGRADED = 1, WELL = 2;

/** Of a node in maintenance, and of its tools, nothing counts as trouble. */
export const isInMaintenance = ({ maintenance_until: until }) => Boolean(until);

/** Whether it runs and does not work. */
export const isUnhealthy = ({ unhealthy }) => typeof unhealthy === "string";

function troubleOfTool({ state, uncertain, unhealthy }) {
  if (state === "removed") return WELL;
  if (uncertain || state === "failed") return FAILED;
  return state === "backing_off" || isUnhealthy({ unhealthy }) ? DEGRADED : WELL;
}

/** That of the node or of one of its tools, whichever is worse. */
function troubleOfNode(node) {
  if (isInMaintenance(node)) return WELL;
  const own = node.status === "unreachable" ? FAILED : node.status === "degraded" ? DEGRADED : WELL;
  return node.tools.reduce((worst, tool) => Math.min(worst, troubleOfTool(tool)), own);
}

const compare = (one, other) => one < other ? -1 : one > other ? 1 : 0;

/** The nodes by trouble, then by name. */
export function sortedNodes(nodes) {
  return nodes.map((node) => ({ node, trouble: troubleOfNode(node) }))
    .sort((one, other) => one.trouble - other.trouble || compare(one.node.name, other.node.name))
    .map(({ node }) => node);
}

/** The tools of the nodes by trouble, each with its `node`, removed ones aside; those whose state is known come before others. */
export function sortedTools(nodes) {
  return nodes.flatMap((node) => node.tools.filter(({ state }) => state !== "removed").map((tool) => ({
    trouble: isInMaintenance(node) ? WELL : troubleOfTool(tool), tool: { ...tool, node: node.name },
  })))
    .sort((one, other) => one.trouble - other.trouble || Number(one.tool.uncertain ?? false) - Number(other.tool.uncertain ?? false)
      || compare(one.tool.node, other.tool.node) || compare(one.tool.name, other.tool.name))
    .map(({ tool }) => tool);
}

/** What is wrong with the nodes and their tools, the worst first: `color`, `state`, `name`, `about`, `why` and `since`. */
export function troubles(nodes) {
  return sortedNodes(nodes).filter((node) => !isInMaintenance(node)).flatMap((node) => {
    // What ran on a node that is unreachable is not known: the node says it for all of them.
    const tools = node.status === "unreachable" ? [] : sortedTools([node]).filter((tool) => troubleOfTool(tool) < WELL);
    return [...ofNode(node), ...tools.map(ofTool)];
  });
}

function ofNode({ name, status, checks, last_seen: seen, reported_status: reported }) {
  const trouble = { state: status, name, about: "", since: parse(seen) };
  if (status === "unreachable") return [{ ...trouble, color: "bad", why: "not heard of" }];
  if (status !== "degraded") return [];
  const problems = Object.entries(checks ?? {}).map(([check, problem]) => `${check}: ${problem}`).join("; ");
  return [{ ...trouble, color: "warn", why: problems || `it says: ${reported}`, since: null }];
}

function ofTool(tool) {
  const isFailed = troubleOfTool(tool) === FAILED;
  return {
    color: isFailed ? "bad" : "warn", state: isUnhealthy(tool) && !isFailed ? "unhealthy" : tool.state.replace("_", " "),
    name: tool.name, about: tool.node, why: tool.unhealthy ?? tool.last_error ?? "", since: tool.since ? parse(tool.since) : null,
  };
}
