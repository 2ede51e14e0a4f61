/** Dead letters: what no worker could do, why, and doing it again. */

import { ask, path } from "./api.js";
import { askFirst } from "./dialog.js";
import { button, fill, make, table } from "./dom.js";
import { count, moment } from "./words.js";

/**
 * Show the dead letters. They are read when somebody asks: SQS hides from others what one looks at.
 *
 * @param {HTMLElement} place Where.
 * @param {() => void} again Reads them anew.
 */
export function showLetters(place, again) {
  const shown = make("div");
  /** @type {any[]} */
  let able = [];
  place.append(make("h1", {}, "Dead letters"), make("div", { class: "tools" }, button("Look again", again)), shown);
  return {
    title: "Dead letters",
    /** @param {AbortSignal} signal */
    async refresh(signal) {
      const { deadLetters, approximateCounts, truncated } = await ask("GET", "dead-letters", { query: { limit: 1000 }, signal });
      able = deadLetters.filter((/** @type {any} */ letter) => letter.fault === null);
      fill(
        shown,
        make("p", {}, Object.entries(approximateCounts).map(([queue, number]) => `${queue}: about ${number}  `)),
        truncated ? make("p", { class: "old" }, "There may be more than are shown.") : null,
        able.length > 0 ? button(`Do ${count(able.length, "letter")} again…`, () => redrive(able, again)) : null,
        table(
          ["Queue", "Asked for", "About", "Reason", "Dead since", "Why it cannot be done again"],
          deadLetters.map(row),
          "There are none.",
        ),
      );
      return Infinity;
    },
  };
}

/** @param {any} letter */
function row(letter) {
  const { groupId, waveId, sourceServerId } = letter;
  return [
    letter.queue,
    letter.actor ?? "cannot be read",
    [
      groupId ? make("a", { href: `#/${path("groups", groupId)}` }, "group") : null,
      waveId ? make("a", { href: `#/${path("waves", waveId)}` }, "wave") : null,
      sourceServerId ? [" ", make("code", {}, sourceServerId)] : null,
    ],
    letter.reason,
    moment(letter.deadLetteredAt),
    letter.fault ?? "",
  ];
}

/**
 * @param {any[]} letters
 * @param {() => void} again
 */
function redrive(letters, again) {
  askFirst({
    title: `Do ${count(letters.length, "dead letter")} again`,
    content: make("p", {}, "Each group gets one run for all of its source servers; what cannot be done again stays."),
    act: "Do it again",
    async perform(key) {
      const body = { messageIds: letters.map(({ messageId }) => messageId) };
      const { left } = await ask("POST", "dead-letters/redrive", { body, key });
      again();
      if (left.length > 0) {
        const reasons = [...new Set(left.map((/** @type {any} */ letter) => letter.why))].join(" ");
        throw new Error(`${count(left.length, "letter")} of ${letters.length} stayed: ${reasons}`);
      }
    },
  });
}
