// Keeps the readings of this tab over a reload of the page.

const NAME = "readings-1";

/** Return the readings kept, or none. */
export function restore() {
  try {
    const kept = JSON.parse(sessionStorage.getItem(NAME)) ?? [];
    return kept.map((reading) => ({ ...reading, apps: new Map(reading.apps) }));
  } catch {
    return [];
  }
}

/** Keep readings, which history.append bounds. */
export function keep(readings) {
  try {
    const kept = readings.map((reading) => ({ ...reading, apps: [...reading.apps] }));
    sessionStorage.setItem(NAME, JSON.stringify(kept));
  } catch {
    // Full, or forbidden: after a reload the graphs begin anew.
  }
}
