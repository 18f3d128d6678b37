// How figures are said.

const ISSUES = {
  connection_poor: "poor connection",
  video_frozen: "video frozen",
  video_low_fps: "few pictures",
  track_dry: "nothing comes",
  mic_silent: "silent microphone",
  mic_quiet: "quiet microphone",
  mic_noisy: "noisy microphone",
  mic_clipping: "clipped microphone",
  participant_idle: "idle",
  session_long: "long session",
};
const VIDEO = { dry: "no picture", muted: "off", unknown: "not seen yet", low: "slow" };
const HEARD = { server: "on the server's word", sampled: "heard now and then" };

/** Seconds as 1:02 or 1:02:03. */
export function clock(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const two = (number) => String(number).padStart(2, "0");
  const hours = Math.floor(whole / 3600);
  const minutes = Math.floor(whole / 60) % 60;
  return hours ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
}

/** About how long ago, in one unit. */
export function age(seconds) {
  if (seconds < 60) return `for ${Math.max(0, Math.floor(seconds))} s`;
  if (seconds < 3600) return `for ${Math.floor(seconds / 60)} min`;
  return `for ${Math.floor(seconds / 3600)} h`;
}

export function issue(kind) {
  return ISSUES[kind] ?? kind;
}

export function video(state, fps) {
  if (state === null) return "none";
  const word = VIDEO[state] ?? state;
  return fps === null ? word : `${word}, ${Math.round(fps)} fps`;
}

/** What the figures of somebody's speech rest on, where it is not all of their sound. */
export function heard(how) {
  return HEARD[how] ?? "";
}

/** A level in dBov as a part of a meter that begins at -60. */
export function levelPart(dbov) {
  return Math.min(1, Math.max(0, (dbov + 60) / 60));
}
