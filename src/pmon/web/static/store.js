// What the page knows: everything that the worker has said, and the time by its clock.

export class Store {
  rooms = new Map();
  rows = new Map();
  worker = null;
  #offset = 0;

  /** The worker's time in seconds. */
  now() {
    return Date.now() / 1000 + this.#offset;
  }

  /** Take a message. Returns the ids of the rows that are new or changed, and of those gone. */
  take(message) {
    this.#offset = message.now - Date.now() / 1000;
    const gone = new Set(message.gone ?? []);
    if (message.anew) {
      for (const id of this.rows.keys()) gone.add(id);
      this.rows.clear();
      this.rooms.clear();
    }
    for (const name of message.gone_rooms ?? []) this.rooms.delete(name);
    for (const id of message.gone ?? []) this.rows.delete(id);
    for (const room of message.rooms ?? []) this.rooms.set(room.room, room);
    const changed = [];
    for (const row of message.rows ?? []) {
      row.at = message.now;
      this.rows.set(row.id, row);
      gone.delete(row.id);
      changed.push(row.id);
    }
    if (message.worker) this.worker = message.worker;
    return { changed, gone };
  }

  /** Talk time up to now, an open turn included. */
  talk(row) {
    return row.talk_s + (row.speaking ? Math.max(0, this.now() - row.at) : 0);
  }

  /** For each room the talk time of all in it, or null where it is not known. */
  roomTalk() {
    const people = new Map();
    for (const row of this.rows.values()) {
      if (!people.has(row.room)) people.set(row.room, new Map());
      const talk = people.get(row.room);
      talk.set(row.who, Math.max(talk.get(row.who) ?? 0, this.talk(row)));
    }
    const totals = new Map();
    for (const [name, talk] of people) {
      const gone = this.rooms.get(name)?.gone_s ?? null;
      let total = gone;
      if (gone !== null) for (const seconds of talk.values()) total += seconds;
      totals.set(name, total);
    }
    return totals;
  }

  /** People, speakers and issues of each room; two rows may be about one person. */
  counts() {
    const counts = new Map();
    for (const name of this.rooms.keys()) {
      counts.set(name, { people: new Set(), speaking: new Set(), issues: 0 });
    }
    for (const row of this.rows.values()) {
      const count = counts.get(row.room);
      if (!count) continue;
      if (row.present) count.people.add(row.who);
      if (row.speaking) count.speaking.add(row.who);
      count.issues += row.issues.length;
    }
    return counts;
  }
}
