// The list of rooms, to choose one or all.

import { arrange, copy, text, title } from "./dom.js";

const ALL = "";
const { compare } = new Intl.Collator(undefined, { numeric: true });

export class Rooms {
  chosen = null;
  #items = new Map();

  constructor(store, onChoose) {
    this.store = store;
    this.onChoose = onChoose;
    this.list = document.getElementById("rooms");
    const wanted = new URLSearchParams(location.hash.slice(1)).get("room");
    this.chosen = wanted || null;
  }

  update() {
    const counts = this.store.counts();
    const all = { people: 0, speaking: 0, issues: 0 };
    const names = [...counts.keys()].sort(compare);
    for (const name of names) {
      const { people, speaking, issues } = counts.get(name);
      all.people += people.size;
      all.speaking += speaking.size;
      all.issues += issues;
      this.#fill(name, name, people.size, speaking.size, issues);
    }
    this.#fill(ALL, "All rooms", all.people, all.speaking, all.issues);
    for (const name of this.#items.keys()) {
      if (name !== ALL && !counts.has(name)) this.#items.delete(name);
    }
    arrange(this.list, [ALL, ...names].map((name) => this.#items.get(name)));
    text(document.getElementById("count-rooms"), String(names.length));
    text(document.getElementById("count-people"), String(all.people));
    text(document.getElementById("count-speaking"), String(all.speaking));
    text(document.getElementById("count-issues"), String(all.issues));
  }

  choose(room) {
    this.chosen = room;
    const hash = room === null ? " " : `#${new URLSearchParams({ room })}`;
    history.replaceState(null, "", room === null ? location.pathname : hash);
    for (const [name, item] of this.#items) this.#mark(name, item);
    this.onChoose(room);
  }

  #fill(name, label, people, speaking, issues) {
    let item = this.#items.get(name);
    if (!item) {
      item = copy("room");
      item.firstElementChild.addEventListener("click", () =>
        this.choose(name === ALL ? null : name),
      );
      this.#items.set(name, item);
    }
    const find = (selector) => item.querySelector(selector);
    text(find(".name"), label);
    title(find(".name"), label);
    text(find(".people"), String(people));
    title(find(".people"), `${people} participants`);
    text(find(".speaking"), speaking ? `${speaking} ●` : "");
    title(find(".speaking"), speaking ? `${speaking} speak` : "");
    text(find(".wrong"), issues ? `${issues} !` : "");
    title(find(".wrong"), issues ? `${issues} open issues` : "");
    const away = name !== ALL && this.store.rooms.get(name)?.connected === false;
    item.classList.toggle("away", away);
    title(item, away ? "pmon has no connection to this room just now" : "");
    this.#mark(name, item);
  }

  #mark(name, item) {
    const current = (this.chosen ?? ALL) === name;
    item.firstElementChild.setAttribute("aria-current", String(current));
  }
}
