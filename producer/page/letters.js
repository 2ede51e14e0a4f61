/** Dead letters: what no worker could do, why, and doing it again. */

import { ask, path } from "./api.js";
import { askFirst, explain } from "./dialog.js";
import { button, fill, make, table } from "./dom.js";
import { count, moment, status } from "./words.js";

/**
 * Show the dead letters. They are read when somebody asks: SQS hides from others what one looks at.
 *
 * @param {HTMLElement} place Where.
 * @param {() => void} again Reads them anew.
 */
export function showLetters(place, again) {
  const told = make("div", { role: "alert" });
  const shown = make("div");
  /** @type {any[]} */
  let able = [];
  place.append(make("h1", {}, "Dead letters"), make("div", { class: "tools" }, button("Look again", again)), told, shown);

  /** @param {any} letter */
  async function goOn({ messageId, waveId }) {
    fill(told);
    try {
      startAgain(messageId, await ask("GET", path("waves", waveId)), again);
    } catch (error) {
      fill(told, explain(error));
    }
  }

  return {
    title: "Dead letters",
    /** @param {AbortSignal} signal */
    async refresh(signal) {
      const { deadLetters, approximateCounts, truncated } = await ask("GET", "dead-letters", { query: { limit: 1000 }, signal });
      // A wave may be a recovery in earnest: each is asked for by itself, and never among others.
      able = deadLetters.filter((/** @type {any} */ letter) => letter.fault === null && letter.waveId === null);
      fill(
        shown,
        make("p", {}, Object.entries(approximateCounts).map(([queue, number]) => `${queue}: about ${number}  `)),
        truncated ? make("p", { class: "old" }, "There may be more than are shown.") : null,
        able.length > 0 ? button(`Do ${count(able.length, "letter")} again…`, () => redrive(able, again)) : null,
        table(
          ["Queue", "Asked for", "About", "Reason", "Dead since", "Why it cannot be done again"],
          deadLetters.map((/** @type {any} */ letter) => row(letter, goOn)),
          "There are none.",
        ),
      );
      return Infinity;
    },
  };
}

/**
 * @param {any} letter
 * @param {(letter: any) => Promise<void>} goOn
 */
function row(letter, goOn) {
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
    letter.fault ??
      (waveId ? button("Go on with it…", () => void goOn(letter), { "data-key": `go on ${letter.messageId}` }) : ""),
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
    perform: (key) => send(key, letters.map(({ messageId }) => messageId), again),
  });
}

/**
 * @param {string} messageId
 * @param {any} wave
 * @param {() => void} again
 */
function startAgain(messageId, { waveId, isDrill, status: stands }, again) {
  const kind = isDrill ? "drill" : "RECOVERY";
  askFirst({
    title: `Go on with the ${kind} ${waveId}`,
    content: make("p", {}, "It is ", status(stands), ". What of it is not started yet is started; nothing is started twice."),
    act: `Go on with the ${kind}`,
    isGrave: () => !isDrill,
    perform: (key) => send(key, [messageId], again),
  });
}

/**
 * @param {string} key
 * @param {string[]} messageIds
 * @param {() => void} again
 */
async function send(key, messageIds, again) {
  const { left, notFound } = await ask("POST", "dead-letters/redrive", { body: { messageIds }, key });
  again();
  const reasons = [...new Set(left.map((/** @type {any} */ letter) => letter.why))].join(" ");
  const stayed = left.length > 0 ? `${count(left.length, "letter")} of ${messageIds.length} stayed: ${reasons}` : null;
  const gone = notFound.length > 0 ? `${count(notFound.length, "letter")} of ${messageIds.length} not found: done, or looked at by somebody else just now.` : null;
  if (stayed ?? gone) throw new Error([stayed, gone].filter(Boolean).join(" "));
}
