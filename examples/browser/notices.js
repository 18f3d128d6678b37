// A receiver of pmon's notices: what is known of each participant, and the packets as they came.

import { Room, RoomEvent } from "livekit-client";

const LOGGED = 100;
const people = new Map(); // identity to what is known of them
const room = new Room();
const element = (id) => document.getElementById(id);

room.on(RoomEvent.DataReceived, (payload, participant, _kind, topic) => {
  // Anybody may send to this topic, but LiveKit names them. The hidden monitor alone has no name.
  if (topic !== "pmon" || participant) return;
  const text = new TextDecoder().decode(payload);
  take(JSON.parse(text));
  showPeople();
  showPacket(text);
});
room.on(RoomEvent.ParticipantDisconnected, (participant) => {
  people.delete(participant.identity);
  showPeople();
});
room.on(RoomEvent.Disconnected, () => {
  people.clear();
  showPeople();
  element("state").textContent = "not connected";
});

element("join").addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = new FormData(event.target);
  try {
    await room.connect(form.get("url"), form.get("token"), { autoSubscribe: false });
    element("state").textContent = `in room ${room.name} as ${room.localParticipant.identity}`;
  } catch (error) {
    element("state").textContent = `could not join: ${error.message}`;
  }
});

function take(notice) {
  switch (notice.type) {
    case "participant_monitoring":
      element("welcome").textContent = notice.message;
      break;
    case "speaking_detection":
      of(notice.participant).speaking = notice.speaking;
      break;
    case "connection_quality":
      of(notice.participant).quality = notice.quality;
      break;
    case "video_state":
      keep(
        of(notice.participant).wrong,
        `video ${notice.track_sid}`,
        ["live", "ended"].includes(notice.state) ? null : `video ${notice.state}`,
      );
      break;
    case "issue":
      keep(
        of(notice.participant).wrong,
        `${notice.issue} ${notice.track_sid}`,
        notice.action === "resolved" ? null : issueText(notice),
      );
      break;
    case "talk_time":
      of(notice.participant).talkTime = notice.talk_time_s;
      break;
    case "snapshot":
      for (const person of notice.participants) people.set(person.participant, known(person));
      break;
    // Other types: a later version may have some.
  }
}

function of(identity) {
  if (!people.has(identity)) people.set(identity, known({}));
  return people.get(identity);
}

function known(person) {
  const wrong = new Map();
  for (const video of person.videos ?? []) {
    wrong.set(`video ${video.track_sid}`, `video ${video.state}`);
  }
  for (const issue of person.issues ?? []) {
    wrong.set(`${issue.issue} ${issue.track_sid}`, issueText(issue));
  }
  const { speaking = false, quality = null, talk_time_s: talkTime = null } = person;
  return { speaking, quality, talkTime, wrong };
}

function issueText(issue) {
  const since = new Date(issue.since * 1000).toLocaleTimeString();
  return `${issue.issue} (${issue.severity}) since ${since}`;
}

function keep(map, key, text) {
  if (text === null) map.delete(key);
  else map.set(key, text);
}

// Names are anybody's to choose: they are text here and never markup.
function showPeople() {
  const rows = [...people].sort(([a], [b]) => (a < b ? -1 : 1)).map(([identity, person]) => {
    const row = document.createElement("tr");
    const cells = [
      identity,
      person.speaking ? "speaks" : "",
      person.quality ?? "",
      person.talkTime === null ? "" : `${person.talkTime.toFixed(1)} s`,
      [...person.wrong.values()].join(", "),
    ];
    for (const text of cells) row.insertCell().textContent = text;
    return row;
  });
  element("people").replaceChildren(...rows);
}

function showPacket(text) {
  const item = document.createElement("li");
  item.textContent = text;
  element("log").prepend(item);
  while (element("log").childElementCount > LOGGED) element("log").lastElementChild.remove();
}
