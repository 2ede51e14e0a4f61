/** What was done to a group: who asked, when, what changed from what to what; and going back. */

import { ask, path } from "./api.js";
import { changed } from "./changes.js";
import { now } from "./clock.js";
import { askFirst, explain } from "./dialog.js";
import { button, fill, make, table } from "./dom.js";
import { makeOlder } from "./older.js";
import { moment, status } from "./words.js";

/**
 * Show a group's runs, newest first.
 *
 * @param {HTMLElement} place Where.
 * @param {string} groupId Whose.
 * @param {() => void} again Reads the group anew.
 */
export function showHistory(place, groupId, again) {
  const older = makeOlder(again);
  const list = make("div");
  const one = make("div");
  let looks = 0;
  place.append(list, one);

  /** @param {any} run */
  async function look(run) {
    looks += 1;
    const mine = looks;
    const askedAt = now().toISOString();
    fill(one, make("p", { role: "status" }, "Reading …"));
    const answer = ask("GET", path("protection-groups", groupId, "apply-runs", run.runId));
    const found = await answer.then((told) => describe(told, askedAt), explain);
    // Whoever has asked for another one since is shown that one, however late this one is.
    if (mine !== looks) return;
    fill(one, found);
    one.scrollIntoView({ block: "nearest" });
  }

  return {
    /**
     * @param {any} _stands
     * @param {any} _group
     * @param {AbortSignal} signal
     */
    async show(_stands, _group, signal) {
      const { applyRuns, nextToken } = await ask("GET", path("protection-groups", groupId, "apply-runs"), { query: { limit: older.limit() }, signal });
      fill(
        list,
        table(
          ["Run", "Opened", "Status", "Why", "By", "Source servers", ""],
          applyRuns.map((/** @type {any} */ run) => [
            String(run.generation),
            moment(run.openedAt),
            outcome(run),
            [run.reason, run.changedBy ? `, changed by ${run.changedBy}` : ""],
            `${run.requestedBy} (${run.door})`,
            String(run.listedServers),
            [
              button("What it changed", () => void look(run), { "data-key": `look ${run.runId}` }),
              button("Go back to it…", () => rollBack(groupId, run, again), { "data-key": `back ${run.runId}` }),
            ],
          ]),
          "Nothing was done yet.",
        ),
        older.more(nextToken),
      );
    },
  };
}

/** @param {any} run */
function outcome(run) {
  return [status(run.status), run.supersededBy ? ` by ${run.supersededBy}` : null];
}

/**
 * @param {any} run
 * @param {string} askedAt
 */
function describe(run, askedAt) {
  return [
    make("h2", {}, `Run ${run.generation}`),
    make("p", {}, "Read at ", moment(askedAt), "."),
    run.requestId ? make("p", { class: "aside" }, `Run ${run.runId}, asked for by request ${run.requestId}.`) : null,
    table(
      ["Source server", "What changed", "Outcome", "Completed"],
      run.changes.map((/** @type {any} */ change) => [
        make("code", {}, change.sourceServerId),
        change.fields.map(changed),
        change.outcome === null ? "not over" : status(change.outcome),
        moment(change.completedAt),
      ]),
      "It changed nothing: what was right already was not written.",
    ),
  ];
}

/**
 * @param {string} groupId
 * @param {any} run
 * @param {() => void} again
 */
function rollBack(groupId, { runId, generation }, again) {
  askFirst({
    title: `Go back to run ${generation}`,
    content: make("p", {}, "The group gets the launch config that it had then, and a new run applies it. Members stay."),
    act: "Go back",
    async perform(key) {
      await ask("POST", path("protection-groups", groupId, "rollback"), { body: { toRun: runId }, key });
      again();
    },
  });
}
