// The open issues of all rooms, and a quiet word to screen readers when one comes or goes.

import { arrange, classes, copy, text } from "./dom.js";
import * as format from "./format.js";

const ORDER = ["critical", "warning", "info"];
const MOST_SAID = 3;
const SAY_MS = 1500;

export class Issues {
  #items = new Map();
  #toSay = [];
  #saying = 0;
  #begun = false;

  constructor(store, onFocus) {
    this.store = store;
    this.onFocus = onFocus;
    this.list = document.getElementById("issues");
  }

  update() {
    const open = new Map();
    for (const row of this.store.rows.values()) {
      for (const issue of row.issues) {
        const key = `${row.id} ${issue.issue} ${issue.track_sid ?? ""}`;
        open.set(key, { ...issue, row, since: Date.parse(issue.since) / 1000 });
      }
    }
    for (const [key, item] of this.#items) {
      if (open.has(key)) continue;
      this.#items.delete(key);
      this.#say(`${item.who}: ${item.what} is over`);
    }
    const now = this.store.now();
    for (const [key, issue] of open) {
      let item = this.#items.get(key);
      if (!item) {
        item = this.#make(issue);
        this.#items.set(key, item);
        this.#say(`${item.who}: ${item.what}`);
      }
      item.rank = ORDER.indexOf(issue.severity);
      item.since = issue.since;
      classes(item.node, issue.severity);
      text(item.age, format.age(now - issue.since));
    }
    const items = [...this.#items.values()].sort((a, b) => a.rank - b.rank || a.since - b.since);
    arrange(this.list, items.map((item) => item.node));
    document.getElementById("no-issues").hidden = items.length > 0;
    this.#begun = true;
  }

  /** Time has passed. */
  tick() {
    const now = this.store.now();
    for (const item of this.#items.values()) text(item.age, format.age(now - item.since));
  }

  #make({ row, issue }) {
    const node = copy("issue");
    const what = format.issue(issue);
    text(node.querySelector(".name"), row.who);
    text(node.querySelector(".what"), what);
    text(node.querySelector(".room"), row.room);
    node.querySelector("button").addEventListener("click", () => this.onFocus(row.id));
    return { node, what, who: row.who, age: node.querySelector(".age") };
  }

  // What was there when the page came is on the page; only news are said.
  #say(words) {
    if (!this.#begun) return;
    this.#toSay.push(words);
    if (this.#saying) return;
    this.#saying = setTimeout(() => {
      const said = this.#toSay.slice(0, MOST_SAID);
      const more = this.#toSay.length - said.length;
      this.#toSay = [];
      this.#saying = 0;
      if (more) said.push(`and ${more} more`);
      text(document.getElementById("announce"), said.join(". "));
    }, SAY_MS);
  }
}
