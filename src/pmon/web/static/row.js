// One row of the table: the nodes of one session, written to when something of it changes.

import { classes, copy, part, text, title } from "./dom.js";
import * as format from "./format.js";

const RECENT_S = 300;

export class Row {
  constructor(data) {
    this.data = data;
    this.node = copy("row");
    this.node.dataset.id = data.id;
    const find = (selector) => this.node.querySelector(selector);
    this.parts = {
      name: find(".name"),
      room: find(".room"),
      kind: find(".kind"),
      says: find(".says"),
      level: find(".level .meter"),
      levelFill: find(".level .fill"),
      talk: find(".talk"),
      share: find(".share .fill"),
      percent: find(".percent"),
      line: find("path"),
      mic: find(".mic"),
      quality: find(".quality"),
      word: find(".word"),
      video: find(".video"),
      issues: find(".issues"),
    };
    this.search = "";
    this.shown = "";
  }

  /** Everything that events change. */
  fill(data) {
    this.data = data;
    const { parts, node } = this;
    const issues = data.issues.map((issue) => format.issue(issue.issue));
    this.search = [data.who, data.room, ...issues].join("\n").toLowerCase();
    classes(
      node,
      `row${data.speaking ? " speaking" : ""}${data.present ? "" : " absent"}`,
    );
    text(parts.name, data.who);
    title(parts.name, data.who);
    text(parts.room, data.room);
    title(parts.room, data.room);
    text(parts.kind, data.kind === "standard" || data.kind === "unknown" ? "" : data.kind);
    text(parts.says, data.present ? (data.speaking ? "speaking" : "") : "away");
    text(parts.mic, data.microphone);
    classes(parts.mic, `mic ${data.microphone}`);
    title(parts.mic, format.heard(data.heard));
    text(parts.word, data.quality);
    classes(parts.quality, `quality ${data.quality}`);
    text(parts.video, format.video(data.video, data.fps));
    classes(parts.video, `video ${data.video ?? ""}`);
    this.#chips(data.issues);
    if (data.microphone !== "on") this.level(null);
  }

  /** What time alone changes. */
  tick(now, talk, share) {
    const { parts } = this;
    text(parts.talk, format.clock(talk));
    part(parts.share, share ?? 0);
    text(parts.percent, share === null ? "–" : `${Math.round(share * 100)} %`);
    const line = timeline(this.data.turns, now);
    if (line !== this.shown) {
      this.shown = line;
      parts.line.setAttribute("d", line);
    }
  }

  /** A level in dBov, or null while nobody listens. */
  level(dbov) {
    part(this.parts.levelFill, dbov === null ? 0 : format.levelPart(dbov));
    const deaf = dbov === null && this.data.microphone === "on";
    classes(this.parts.level, deaf ? "meter deaf" : "meter");
    title(this.parts.level, dbov === null ? "not listened to just now" : `${dbov} dBov`);
  }

  #chips(issues) {
    const key = issues.map((issue) => `${issue.issue} ${issue.severity}`).join();
    if (this.parts.issues.dataset.key === key) return;
    this.parts.issues.dataset.key = key;
    this.parts.issues.replaceChildren(
      ...issues.map((issue) => {
        const chip = document.createElement("span");
        chip.className = `chip ${issue.severity}`;
        chip.textContent = format.issue(issue.issue);
        return chip;
      }),
    );
  }
}

/** The turns of the last minutes as a path, a second a unit. */
function timeline(turns, now) {
  let path = "";
  for (const [start, end] of turns) {
    const from = Math.max(0, RECENT_S - (now - start));
    const to = Math.min(RECENT_S, RECENT_S - (now - (end ?? now)));
    if (to <= 0) continue;
    const width = Math.max(1, to - from);
    path += `M${from.toFixed(1)} 2h${width.toFixed(1)}v12h${(-width).toFixed(1)}z`;
  }
  return path;
}
