// The footer: who keeps the state of the mesh, and how far behind the saved state is.

import { $, el, once, title } from "/dom.js";
import { absolute, ago, everySecond, now, parse } from "/times.js";

/** The state is saved every ten seconds; what is so old, in milliseconds, is late. */
const LATE = 60_000;

export class Keeper {
  /** `keeper`, `at`, `sequence` and `behind`; null when nothing is known. */
  report = null;

  constructor() {
    this.draw = once(() => this.render());
    everySecond(this.draw);
  }

  set(report) {
    this.report = report;
    this.draw();
  }

  render() {
    const box = $("keeper"), { report } = this;
    box.hidden = !report;
    if (!report) return;
    const { keeper, at, sequence, behind } = report;
    const isLate = at !== null && now() - parse(at) > LATE;
    const saved = at === null ? "nothing is saved yet"
      : `saved ${ago(parse(at))}, ${behind ? `${behind.toLocaleString("en")} ${behind === 1 ? "event" : "events"} behind` : "no event behind"}`;
    box.dataset.state = keeper === null ? "unkept" : isLate ? "late" : "kept";
    const parts = keeper === null
      ? ["No node keeps the state: what the stream drops is forgotten. Start a keeper: ", el("code", {}, "mesh-events keep"), at === null ? "" : ` · ${saved}`]
      : ["State kept by ", el("b", {}, keeper), ` · ${saved}`];
    box.replaceChildren(...parts);
    title(box, at === null ? "" : `Saved up to sequence ${sequence}, ${absolute(parse(at))}`);
  }
}
