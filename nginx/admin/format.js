// Numbers and times as text of nearly constant width. Null is "–".

const NOTHING = "–";
const digits = (count) => (
  new Intl.NumberFormat("en", { minimumFractionDigits: count, maximumFractionDigits: count }));
const [WHOLE, TENTHS, HUNDREDTHS] = [digits(0), digits(1), digits(2)];
const CLOCK = new Intl.DateTimeFormat("en-GB", { timeStyle: "medium" });
const MINUTE = new Intl.DateTimeFormat("en-GB", { timeStyle: "short" });
const DAY = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "medium" });

const unlessNull = (format) => (value) => (value === null ? NOTHING : format(value));

export const whole = unlessNull((value) => WHOLE.format(value));
export const rate = unlessNull((value) => (value < 1000 ? TENTHS : WHOLE).format(value));
export const share = unlessNull((value) => `${TENTHS.format(value * 100)} %`);
export const errorRate = unlessNull((value) => `${HUNDREDTHS.format(value * 100)} %`);

/** Format seconds as milliseconds or seconds, with about three digits. */
export const duration = unlessNull((seconds) => {
  const milliseconds = seconds * 1000;
  if (milliseconds < 9.95) return `${TENTHS.format(milliseconds)} ms`;
  if (milliseconds < 999.5) return `${WHOLE.format(milliseconds)} ms`;
  return `${(seconds < 9.995 ? HUNDREDTHS : TENTHS).format(seconds)} s`;
});

/** Format seconds as an age in its two largest units. */
export function age(seconds) {
  const [s, min, h] = [1, 60, 3600].map((unit) => Math.max(0, Math.floor(seconds / unit)));
  if (s < 100) return `${s} s`;
  if (min < 60) return `${min} min ${s % 60} s`;
  if (h < 24) return `${h} h ${min % 60} min`;
  return `${Math.floor(h / 24)} d ${h % 24} h`;
}

export const clock = (at) => CLOCK.format(at * 1000);
export const minute = (at) => MINUTE.format(at * 1000);

/** Format a time of day, with the date if it is not today's (both in seconds since the epoch). */
export function day(at, now) {
  const [date, today] = [at, now].map((seconds) => new Date(seconds * 1000).toDateString());
  return (date === today ? CLOCK : DAY).format(at * 1000);
}
