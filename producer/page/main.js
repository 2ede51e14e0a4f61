/** What is shown, by the address's fragment; kept up to date, and never shown as newer than it is. */

import { Problem } from "./api.js";
import { now } from "./clock.js";
import { button, fill, make } from "./dom.js";
import { describeReader, openSession, release, signOut } from "./session.js";
import { askForToken, isSignedOut } from "./signing.js";
import { showGroup } from "./group.js";
import { showGroups } from "./groups.js";
import { showLetters } from "./letters.js";
import { showWave, showWaves } from "./waves.js";
import { tellMoments } from "./words.js";

/**
 * A view: it is made once, empty, and reads and shows itself whenever it is asked to.
 *
 * @typedef {{title: string, refresh: (signal: AbortSignal) => Promise<number>}} View refresh answers after how many
 *     seconds it is worth asking again; Infinity: when somebody asks.
 */

const TROUBLE_SECONDS = 5;
const LONGEST_SECONDS = 300;
/** Refusals that pass by themselves: too late, changed meanwhile, too many. */
const PASSING = [408, 409, 429];
const MOMENTS_MILLISECONDS = 5_000;
/** @type {[RegExp, (place: HTMLElement, again: () => void, ...parts: string[]) => View][]} */
const VIEWS = [
  [/^#\/groups$/, showGroups],
  [/^#\/groups\/([^/]+)(?:\/(servers|plan|history|definition))?$/, showGroup],
  [/^#\/waves$/, showWaves],
  [/^#\/waves\/([^/]+)$/, showWave],
  [/^#\/dead-letters$/, showLetters],
];

const view = find("view");
const trouble = find("trouble");
const asOf = find("as-of");
let leaving = new AbortController();
let asking = new AbortController();
let wake = () => {};
let isAskedAgain = false;
/** @type {Date | null} */
let readAt = null;

/** Read anew what is shown, now; an answer that is on its way is of what was asked before, and is not shown. */
function again() {
  isAskedAgain = true;
  asking.abort();
  wake();
}

function open() {
  leaving.abort();
  leaving = new AbortController();
  const [make, parts] = route(location.hash);
  view.replaceChildren();
  readAt = null;
  trouble.hidden = true;
  tellWhen();
  const shown = make(view, again, ...parts);
  document.title = `${shown.title} · prelaunch · ${location.host}`;
  document.querySelectorAll("header nav a").forEach((link) => {
    const here = location.hash.startsWith(link.getAttribute("href") ?? "-");
    if (here) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  });
  void follow(shown, leaving.signal);
}

/**
 * @param {string} hash
 * @returns {[(place: HTMLElement, again: () => void, ...parts: string[]) => View, string[]]}
 */
function route(hash) {
  for (const [pattern, make] of VIEWS) {
    const found = pattern.exec(hash);
    if (found) return [make, found.slice(1).map((part) => decode(part ?? ""))];
  }
  return [showGroups, []];
}

/** @param {string} part */
function decode(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    // Somebody cut off a link: the API then says that it knows no such thing.
    return part;
  }
}

/**
 * @param {View} shown
 * @param {AbortSignal} signal
 */
async function follow(shown, signal) {
  while (!signal.aborted) {
    isAskedAgain = false;
    asking = new AbortController();
    // Not when it was answered: what an answer holds was read at some moment in between.
    const askedAt = now();
    let seconds;
    try {
      seconds = await shown.refresh(AbortSignal.any([signal, asking.signal]));
      readAt = askedAt;
      trouble.hidden = true;
    } catch (error) {
      if (signal.aborted) return;
      if (isAskedAgain) continue;
      seconds = tellTrouble(error);
    }
    tellWhen();
    tellReader();
    if (!isAskedAgain) await pause(seconds, signal);
  }
}

/**
 * Wait; whoever does not look at the page does not ask either.
 *
 * @param {number} seconds
 * @param {AbortSignal} signal
 */
async function pause(seconds, signal) {
  await once(signal, (resolve) => {
    wake = resolve;
    const timer = Number.isFinite(seconds) ? setTimeout(wake, seconds * 1000) : undefined;
    return () => clearTimeout(timer);
  });
  while (document.hidden && !signal.aborted) {
    await once(signal, (resolve) => {
      document.addEventListener("visibilitychange", resolve);
      return () => document.removeEventListener("visibilitychange", resolve);
    });
  }
}

/**
 * Wait for something, or for the view to be left; nothing of it stays: a view is looked at for days.
 *
 * @param {AbortSignal} signal
 * @param {(resolve: () => void) => () => void} begin Begins to wait for it; answers what ends that.
 */
async function once(signal, begin) {
  let end = () => {};
  await new Promise((resolve) => {
    const over = () => resolve(undefined);
    const stop = begin(over);
    signal.addEventListener("abort", over);
    end = () => {
      stop();
      signal.removeEventListener("abort", over);
    };
  });
  end();
}

/**
 * Say what went wrong; what was read before stays, with its time.
 *
 * @param {unknown} error
 * @returns {number} Seconds until it is tried again.
 */
function tellTrouble(error) {
  const signedOut = isSignedOut(error);
  const message = error instanceof Error ? error.message : String(error);
  const id = error instanceof Problem && error.requestId ? ` (request ${error.requestId})` : "";
  const stale = readAt === null ? "" : ` What is shown is of ${clock(readAt)}.`;
  const isFinal = error instanceof Problem && error.status >= 400 && error.status < 500 && !PASSING.includes(error.status);
  trouble.hidden = false;
  fill(
    trouble,
    make("p", {}, `${message}${id}${stale}`),
    signedOut ? askForToken(again) : isFinal ? button("Try again", again) : null,
  );
  if (signedOut || isFinal) return Infinity;
  if (!(error instanceof Problem)) console.error(error);
  // Browsers take a wait of weeks for none.
  return error instanceof Problem && error.retryAfter > 0 ? Math.min(error.retryAfter, LONGEST_SECONDS) : TROUBLE_SECONDS;
}

function tellWhen() {
  asOf.textContent = readAt === null ? "" : `as of ${clock(readAt)}`;
  asOf.classList.toggle("old", !trouble.hidden);
}

function tellReader() {
  const reader = describeReader();
  const leave = reader?.canSignOut
    ? make("button", { type: "button", "data-key": "sign out", onclick: leaveWholly }, "Sign out")
    : null;
  fill(find("who"), reader === null ? `${location.host}, ${release()}` : `${reader.name} (${reader.role}) `, leave);
}

/** Whoever goes back to this page after its reader has left sees nothing of what he saw. */
function leaveWholly() {
  leaving.abort();
  view.replaceChildren();
  signOut();
}

/** @param {Date} at */
function clock(at) {
  return `${at.toISOString().slice(11, 19)} UTC`;
}

/** @param {string} id */
function find(id) {
  const element = document.getElementById(id);
  if (element === null) throw new Error(`The document has no ${id}.`);
  return element;
}

/** Nothing is asked before it is known how the door wants to be asked. */
async function begin() {
  try {
    await openSession();
  } catch (error) {
    trouble.hidden = false;
    fill(trouble, make("p", {}, /** @type {Error} */ (error).message));
    fill(view, button("Go on", () => void begin()));
    return;
  }
  if (!location.hash) history.replaceState(null, "", "#/groups");
  addEventListener("hashchange", open);
  open();
}

setInterval(tellMoments, MOMENTS_MILLISECONDS);
await begin();
