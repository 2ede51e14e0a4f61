/** How times, numbers and statuses are said. */

import { now } from "./clock.js";
import { make } from "./dom.js";

const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const OLD_HOURS = 24;
const SIGNS = /** @type {Object<string, string>} */ ({
  ready: "✓",
  failed: "✕",
  pending: "…",
  not_configured: "–",
  superseded: "↷",
  finished: "✓",
  started: "▶",
  starting: "…",
  applying: "…",
  waiting: "…",
});

/**
 * Say how many there are of something.
 *
 * @param {number} number How many.
 * @param {string} thing What one is called.
 * @returns {string} The words.
 */
export function count(number, thing) {
  return `${number.toLocaleString("en")} ${thing}${number === 1 ? "" : "s"}`;
}

/**
 * Say how long ago a moment was, or how far off it is.
 *
 * @param {number} seconds From then to now.
 * @returns {string} The words.
 */
export function age(seconds) {
  const far = Math.abs(seconds);
  const [number, unit] =
    far < MINUTE ? [far, "s"] : far < HOUR ? [far / MINUTE, "min"] : far < 2 * DAY ? [far / HOUR, "h"] : [far / DAY, "d"];
  const said = `${Math.floor(number)} ${unit}`;
  return seconds >= 0 ? `${said} ago` : `in ${said}`;
}

/**
 * Show a moment: as it is in UTC, and how long ago.
 *
 * @param {string | null | undefined} iso The moment; nothing stands for none.
 * @param {{old?: boolean}} options old: say so where it is more than a day ago.
 * @returns {any} The element, or a dash.
 */
export function moment(iso, { old = false } = {}) {
  if (!iso) return "–";
  const element = make("time", { datetime: iso, "data-old": old });
  tell(element);
  return element;
}

/**
 * Tell whether a moment is so long ago that a wave reads what was verified then once more.
 *
 * @param {string | null} iso The moment; none is long ago.
 */
export function isOld(iso) {
  return iso === null || now().getTime() - Date.parse(iso) > OLD_HOURS * HOUR * 1000;
}

/** Say anew how long ago each moment is that stands on the page. */
export function tellMoments() {
  document.querySelectorAll("time[datetime]").forEach((element) => tell(/** @type {HTMLTimeElement} */ (element)));
}

/** @param {HTMLTimeElement} element */
function tell(element) {
  const at = new Date(element.dateTime);
  const seconds = (now().getTime() - at.getTime()) / 1000;
  element.textContent = `${at.toISOString().slice(0, 19).replace("T", " ")} UTC, ${age(seconds)}`;
  element.classList.toggle("old", element.dataset.old !== undefined && seconds > OLD_HOURS * HOUR);
}

/**
 * Show a status, by a sign and a word: colour alone tells some people nothing.
 *
 * @param {string} name The status.
 * @returns {any} The element.
 */
export function status(name) {
  const sign = SIGNS[name] ?? "•";
  return make("span", { class: `status ${name}` }, make("span", { "aria-hidden": "true" }, `${sign} `), words(name));
}

/**
 * Show how many source servers stand where.
 *
 * @param {{appliedServers: number, failedServers: number, pendingServers: number}} counts The numbers.
 * @returns {any} The element.
 */
export function servers({ appliedServers, failedServers, pendingServers }) {
  const said = [
    `${appliedServers} ready`,
    failedServers > 0 ? make("span", { class: "failed" }, `${failedServers} failed`) : null,
    pendingServers > 0 ? make("span", { class: "pending" }, `${pendingServers} pending`) : null,
  ].filter((each) => each !== null);
  return make("span", {}, said.flatMap((each, place) => (place === 0 ? [each] : [", ", each])));
}

/** @param {string} name */
export function words(name) {
  return name.replaceAll("_", " ");
}
