// What is in trouble comes first, in the order of `mesh-events status`.

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
