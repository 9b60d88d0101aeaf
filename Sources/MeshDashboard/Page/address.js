// What an address says. A stranger may have written it: each part is checked and bounded, and what is not understood is left
// out and named.

/** How much time the histogram can show, with its seconds. */
export const RANGES = [["5m", 300], ["15m", 900], ["1h", 3600], ["6h", 21_600], ["24h", 86_400]];
export const STANDARD_RANGE = "15m";

/** What the server takes: so many values of one name, so many conditions, and so many bytes of a text, or of all conditions. */
const MAXIMUM_VALUES = 50, MAXIMUM_CONDITIONS = 16, MAXIMUM_TEXT = 1_024;
/** So many bytes of patterns, and of types, are more than a person chooses. */
const MAXIMUM_CHOSEN = 8_192;
/** So many parts that are left out are named, with so many characters. */
const MAXIMUM_IGNORED = 4, MAXIMUM_NAMED = 60;
const EVENT = /^[0-9]{1,20}(-[0-9]{1,19})?$/;
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)$/;

const size = (text) => new TextEncoder().encode(text).length;
const isShort = (text) => size(text) <= MAXIMUM_TEXT;
const are = (values, maximum, bytes) => values.length <= maximum && size(values.join("")) <= bytes;

/** What each parameter means: the key and the value of what is shown; null for a value that is not understood. */
const MEANINGS = {
  pattern: (values) => are(values.join(" ").split(/[\s,]+/), MAXIMUM_VALUES, MAXIMUM_CHOSEN) && ["pattern", values.join(" ")],
  type: (values) => are(values, MAXIMUM_VALUES, MAXIMUM_CHOSEN) && ["types", values],
  node: one((value) => isShort(value) && ["node", value]),
  where: (values) => are(values, MAXIMUM_CONDITIONS, MAXIMUM_TEXT) && ["where", values],
  text: one((value) => isShort(value) && ["text", value]),
  range: one((value) => RANGES.some(([name]) => name === value) && ["range", value]),
  since: one((value) => TIME.test(value) && time("since", value)),
  until: one((value) => TIME.test(value) && time("until", value)),
  event: one((value) => EVENT.test(value) && ["event", value]),
  log: one((value) => value && isShort(value) && ["tool", value]),
  "log-node": one((value) => value && isShort(value) && ["toolNode", value]),
  "log-text": one((value) => isShort(value) && ["logText", value]),
  "log-stderr": one((value) => value === "1" && ["logStandardError", true]),
  wall: one((value) => value === "1" && ["wall", true]),
};

function one(meaning) { return (values) => values.length === 1 && meaning(values[0]); }

function time(name, value) {
  const parsed = Date.parse(value);
  return !Number.isNaN(parsed) && [name, parsed];
}

/** What is shown when an address says nothing. */
const nothing = () => ({
  pattern: "", types: [], node: "", where: [], text: "", range: STANDARD_RANGE, since: null, until: null,
  event: null, log: null, logText: "", logStandardError: false, wall: false,
});

/** The names of what an address holds. */
export const KEYS = Object.keys(nothing());

/** Reads the query of an address: the `values` by key, and what was `ignored`, in words. */
export function read(search) {
  const query = new URLSearchParams(search);
  const found = {}, ignored = [];
  const ignore = (name, value) => ignored.push(value === undefined ? name : `${name}=${value}`);
  for (const name of new Set(query.keys())) {
    const values = query.getAll(name);
    if (!Object.hasOwn(MEANINGS, name)) { ignore(name); continue; }
    const meaning = MEANINGS[name](values);
    if (meaning) found[meaning[0]] = meaning[1]; else ignore(name, values.join(" "));
  }
  const { tool, toolNode, ...rest } = found;
  const values = { ...nothing(), ...rest };
  for (const key of ["types", "where"]) values[key] = values[key].filter(Boolean);
  // Half of a pair says nothing.
  if (tool && toolNode) values.log = { node: toolNode, tool };
  else if (tool || toolNode) ignore(tool ? "log" : "log-node", tool ?? toolNode);
  if (values.log === null) Object.assign(values, { logText: "", logStandardError: false });
  const isTime = values.since !== null && values.until !== null && values.since < values.until;
  if (!isTime) {
    for (const key of ["since", "until"]) if (values[key] !== null) ignore(key, query.get(key));
    values.since = values.until = null;
  }
  return { values, ignored: ignored.slice(0, MAXIMUM_IGNORED).map(cut).concat(ignored.length > MAXIMUM_IGNORED ? ["…"] : []) };
}

const cut = (text) => text.length > MAXIMUM_NAMED ? `${text.slice(0, MAXIMUM_NAMED)}…` : text;
