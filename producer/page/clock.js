/** What time it is, by the door's clock: that of the reader's machine may be anything, and would make what is old look new. */

/** Milliseconds that the door's clock is ahead of this machine's; 0 until it has answered. */
let ahead = 0;

/**
 * Take the time from an answer.
 *
 * @param {Response} response The answer; one without a date tells nothing.
 */
export function hear(response) {
  const told = Date.parse(response.headers.get("Date") ?? "");
  if (!Number.isNaN(told)) ahead = told - Date.now();
}

/** Tell what time it is. */
export function now() {
  return new Date(Date.now() + ahead);
}
