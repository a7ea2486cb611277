// Stores the readings of this tab, so that a reload of the page keeps them.

const NAME = "readings-1";

/** Return the stored readings, or none. */
export function restore() {
  try {
    const kept = JSON.parse(sessionStorage.getItem(NAME)) ?? [];
    return kept.map((reading) => ({ ...reading, apps: new Map(reading.apps) }));
  } catch {
    return [];
  }
}

/** Store readings; history.append limits their number. */
export function keep(readings) {
  try {
    const kept = readings.map((reading) => ({ ...reading, apps: [...reading.apps] }));
    sessionStorage.setItem(NAME, JSON.stringify(kept));
  } catch {
    // The storage is full or disabled: after a reload the graphs start empty.
  }
}
