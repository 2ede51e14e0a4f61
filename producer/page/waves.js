/** Waves: what was started, what DRS made of it, and what is not recovered and why. */

import { ask, askAll, path } from "./api.js";
import { facts, fill, make, table } from "./dom.js";
import { makeOlder } from "./older.js";
import { count, moment, status } from "./words.js";

const SECONDS = 5;
const SOON_SECONDS = 1;
const OVER = ["finished", "failed"];

/**
 * Show the waves, newest first.
 *
 * @param {HTMLElement} place Where.
 * @param {() => void} again Reads them anew.
 */
export function showWaves(place, again) {
  const older = makeOlder(again);
  const list = make("div");
  place.append(make("h1", {}, "Waves"), list);
  return {
    title: "Waves",
    /** @param {AbortSignal} signal */
    async refresh(signal) {
      const { waves, nextToken } = await ask("GET", "waves", { query: { limit: older.limit() }, signal });
      fill(
        list,
        table(
          ["Wave", "Kind", "Status", "Accepted", "Started", "Asked for by", "Waits for"],
          waves.map(row),
          "There was no wave yet: choose groups, then start one.",
        ),
        older.more(nextToken),
      );
      return SECONDS;
    },
  };
}

/**
 * Show one wave.
 *
 * @param {HTMLElement} place Where.
 * @param {() => void} _again Not needed.
 * @param {string} waveId Which.
 */
export function showWave(place, _again, waveId) {
  const shown = make("div");
  /** @type {Map<string, string> | null} */
  let names = null;
  place.append(make("h1", {}, "Wave ", make("code", {}, waveId)), shown);
  return {
    title: "Wave",
    /** @param {AbortSignal} signal */
    async refresh(signal) {
      const wave = await ask("GET", path("waves", waveId), { signal });
      names ??= await readNames(signal).catch(() => null);
      signal.throwIfAborted();
      // What is known of a wave is shown at once, by ids where the names have no answer.
      fill(shown, describe(wave, names ?? new Map()));
      if (OVER.includes(wave.status) && names !== null) return Infinity;
      return wave.status === "started" ? SECONDS : SOON_SECONDS;
    },
  };
}

/** @param {any} wave */
function row(wave) {
  return [
    make("a", { href: `#/${path("waves", wave.waveId)}`, "data-key": wave.waveId }, make("code", {}, wave.waveId)),
    kind(wave),
    status(wave.status),
    moment(wave.acceptedAt),
    moment(wave.startedAt),
    wave.requestedBy,
    wave.waitingFor ?? "–",
  ];
}

/** @param {any} wave */
function kind({ isDrill }) {
  return isDrill ? "drill" : make("strong", {}, "recovery");
}

/**
 * Read what groups are called: a wave has their ids, also of groups that are deleted.
 *
 * @param {AbortSignal} signal
 */
async function readNames(signal) {
  const { found } = await askAll("protection-groups", "protectionGroups", signal);
  return new Map(found.map(({ groupId, groupName }) => [groupId, groupName]));
}

/**
 * @param {any} wave
 * @param {Map<string, string>} names
 */
function describe(wave, names) {
  const started = wave.jobs.reduce((/** @type {number} */ sum, /** @type {any} */ job) => sum + job.sourceServerIds.length, 0);
  const left = wave.errors.reduce((/** @type {number} */ sum, /** @type {any} */ each) => sum + each.sourceServerIds.length, 0);
  return [
    facts([
      ["Status", status(wave.status)],
      ["Kind", kind(wave)],
      ["Waits for", wave.waitingFor],
      ["In DRS jobs", count(started, "source server")],
      ["Not recovered", left === 0 ? null : make("span", { class: "failed" }, count(left, "source server"))],
      ["Accepted", moment(wave.acceptedAt)],
      ["Last StartRecovery answered", moment(wave.startedAt)],
      ["Deadline", OVER.includes(wave.status) ? null : moment(wave.deadline)],
      ["Asked for by", wave.requestedBy],
      ["What is not ready", wave.onNotReady],
      ["Verified", wave.verify],
    ]),
    wave.errors.length > 0 ? [make("h2", {}, "Not recovered"), failures(wave.errors)] : null,
    make("h2", {}, "Groups"),
    table(
      ["Group", "Path", "State", "Generation"],
      wave.groups.map((/** @type {any} */ group) => [
        make("a", { href: `#/${path("groups", group.groupId)}` }, names.get(group.groupId) ?? group.groupId),
        group.path === "fast" ? "fast: no call about settings" : "something is applied first",
        group.state,
        String(group.generation),
      ]),
      "None.",
    ),
    make("h2", {}, "DRS jobs"),
    table(
      ["Job", "Source servers", "Launch statuses", "Over"],
      wave.jobs.map((/** @type {any} */ job) => [
        make("code", {}, job.jobId),
        String(job.sourceServerIds.length),
        launches(job),
        job.isOver ? "yes" : "not yet",
      ]),
      "None yet.",
    ),
  ];
}

/** @param {any[]} errors */
function failures(errors) {
  return table(
    ["Source servers", "Code", "Why", "AWS's request id"],
    errors.map((each) => [
      each.sourceServerIds.length > 0 ? each.sourceServerIds.join(", ") : `group ${each.groupId}`,
      make("code", {}, each.code),
      each.message,
      make("code", {}, each.requestId ?? "–"),
    ]),
    "None.",
  );
}

/** @param {any} job */
function launches({ jobId, sourceServerIds, launchStatuses }) {
  /** @type {Map<string, string[]>} */
  const by = new Map();
  for (const id of sourceServerIds) {
    const said = launchStatuses[id] ?? "not known yet";
    by.set(said, [...(by.get(said) ?? []), id]);
  }
  return [...by].map(([said, ids]) =>
    make("details", { "data-key": `${jobId} ${said}` }, make("summary", {}, `${ids.length} ${said}`), make("p", {}, ids.join(", "))),
  );
}
