// What the filters select, as a file: CSV for a table, NDJSON for programs.

import { $, refusal, text } from "/dom.js";
import { size } from "/cards.js";
import { encoded } from "/filters.js";
import { sessionHeaders } from "/session.js";

/** A browser holds the file until it is whole. What is longer is a matter of the command line. */
const MAXIMUM = 1 << 30;
/** The parts of a file are put together so often, in bytes: the browser then need not have them in memory. */
const PART = 8 << 20;
/** That line is shorter, in bytes. */
const MAXIMUM_LINE = 2_048;
const TYPES = { csv: "text/csv", ndjson: "application/x-ndjson" };

export class Export {
  /** Ends the one under way; null when none is. */
  controller = null;

  constructor(filters) {
    this.filters = filters;
    for (const format of Object.keys(TYPES)) $(`export-${format}`).addEventListener("click", () => this.begin(format));
    $("export-cancel").addEventListener("click", () => this.controller?.abort());
  }

  /** Whether the page may export at all. */
  allow(isAllowed) { $("export").hidden = !isAllowed; }

  /** A link would not do: requests bring the key of the session, and a refusal is to be read. */
  async begin(format) {
    if (this.controller) return;
    const query = this.filters.query();
    for (const [name, value] of this.filters.times()) query.set(name, value);
    const controller = this.controller = new AbortController();
    const name = `mesh-events-${new Date().toISOString().slice(0, 19).replaceAll(":", "")}Z.${format}`;
    this.show(true, "Exporting …");
    try {
      const answer = await fetch(`/api/export?${encoded(new URLSearchParams([["format", format], ...query]))}`, {
        signal: controller.signal, headers: sessionHeaders(), cache: "no-store",
      });
      if (!answer.ok) throw await refusal(answer);
      const file = await this.read(answer.body, TYPES[format]);
      const isCut = await isIncomplete(file);
      save(file, name);
      this.show(false, `${name}: ${amount(file.size)}${isCut ? ", not all of it: its last line says where to go on." : ""}`);
    } catch (error) {
      controller.abort();
      this.show(false, error.name === "AbortError" ? "Not exported: it was cancelled."
        : error.status === undefined ? `Not exported: ${error.isTooLong ? error.message : "the connection was lost."}`
        : `Not exported: ${error.message}`);
    } finally {
      this.controller = null;
    }
  }

  async read(body, type) {
    const reader = body.getReader();
    let file = new Blob([], { type }), parts = [], length = 0;
    for (;;) {
      const { value, done } = await reader.read();
      if (value) {
        parts.push(value);
        length += value.length;
      }
      if (done || length > PART) {
        file = new Blob([file, ...parts], { type });
        [parts, length] = [[], 0];
        this.show(true, `Exporting … ${amount(file.size)}`);
      }
      if (done) return file;
      if (file.size > MAXIMUM) {
        throw Object.assign(new Error(`it is longer than ${amount(MAXIMUM)}. Take fewer events, or mesh-events export.`), { isTooLong: true });
      }
    }
  }

  show(isBusy, words) {
    for (const format of Object.keys(TYPES)) $(`export-${format}`).disabled = isBusy;
    $("export-cancel").hidden = !isBusy;
    text($("export-status"), words);
  }
}

/** Whether the server has ended the file before its end, which it says in the last line; no event begins like that. */
async function isIncomplete(file) {
  const line = (await file.slice(-MAXIMUM_LINE).text()).trimEnd().split("\n").at(-1);
  return line.startsWith('{"export":') || line.startsWith(",,,export.incomplete,");
}

const amount = (bytes) => bytes < 1 << 20 ? `${Math.ceil(bytes / 1024).toLocaleString("en")} KB` : size(bytes / (1 << 20));

function save(file, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(file);
  link.download = name;
  link.click();
  // The browser begins to read it before.
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
