// Numbers and times as people read them. Pure.

const whole = new Intl.NumberFormat("en");

export const count = (number, noun) => `${whole.format(number)} ${noun}${number === 1 ? "" : "s"}`;

/** Seconds, short: 8 ms, 0.21 s, 12 s, 3 min, 2 h. */
export function seconds(value) {
  if (value < 0.1) return `${Math.round(value * 1000)} ms`;
  if (value < 10) return `${value.toFixed(value < 1 ? 2 : 1)} s`;
  if (value < 100) return `${Math.round(value)} s`;
  return value < 5400 ? `${Math.round(value / 60)} min` : `${Math.round(value / 3600)} h`;
}

/** Tokens per second. */
export const speed = (rate) => `${rate < 10 ? rate.toFixed(1) : whole.format(Math.round(rate))} tokens/s`;

/** A clock time, of Unix seconds. */
export const clock = (at) => new Date(at * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });

const DAY = 86_400_000;

/** In which part of the list of chats a day belongs. */
export function ago(date, now = new Date()) {
  const days = Math.floor((new Date(now).setHours(0, 0, 0, 0) - new Date(date).setHours(0, 0, 0, 0)) / DAY);
  if (days <= 0) return "Today";
  if (days === 1) return "Yesterday";
  if (days < 7) return "Last week";
  return days < 31 ? "Last month" : "Older";
}
