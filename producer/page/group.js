/** One group: where it stands, each source server and why it failed, and what can be done about it. */

import { ask, path, Problem } from "./api.js";
import { changed, reason } from "./changes.js";
import { askFirst } from "./dialog.js";
import { button, facts, fill, make, table } from "./dom.js";
import { showHistory } from "./history.js";
import { showPlan } from "./plan.js";
import { startWave } from "./start.js";
import { count, moment, servers, status } from "./words.js";

const PENDING_SECONDS = 2;
const SECONDS = 10;
const LIVE_SECONDS = 60;
const A_PAGE = 100;
const TABS = ["servers", "plan", "history", "definition"];
/** @type {[string, string, unknown][]} */
const APPLIES = [
  ["Apply what is not ready…", "every source server that is not ready is applied", {}],
  ["Apply what has failed…", "only the source servers that have failed are applied", { onlyFailed: true }],
  ["Read all back…", "every source server is read, and written where it is different", { force: true }],
];

/**
 * Show one group.
 *
 * @param {HTMLElement} place Where.
 * @param {() => void} again Reads it anew.
 * @param {string} groupId Which.
 * @param {string} tab What of it.
 */
export function showGroup(place, again, groupId, tab) {
  const chosen = tab || "servers";
  const title = make("h1", {}, "Group ", make("code", {}, groupId));
  const head = make("div");
  const doing = make("div", { class: "tools" });
  const links = TABS.map((each) =>
    make("a", { href: `#/${path("groups", groupId, each)}`, "aria-current": each === chosen ? "page" : null }, each),
  );
  const below = make("section");
  place.append(title, head, doing, make("nav", { class: "tabs", "aria-label": "What of the group" }, links), below);
  const part = /** @type {Object<string, any>} */ ({
    servers: showServers,
    plan: showPlan,
    history: showHistory,
    definition: showDefinition,
  })[chosen](below, groupId, again);
  /** @type {any} */
  let group = null;

  return {
    title: "Protection group",
    /** @param {AbortSignal} signal */
    async refresh(signal) {
      const where = path("protection-groups", groupId);
      const stands = await ask("GET", `${where}/launch-config-status`, { query: part.query?.() ?? { limit: 1 }, signal }).catch(
        (error) => part.mend?.(error, where, signal) ?? Promise.reject(error),
      );
      // A definition may be large: while a run is followed it is read again only where its members or configs are others.
      if (group?.launchConfigStatus.generation !== stands.generation || stands.status !== "pending") {
        group = await ask("GET", where, { signal });
        fill(title, "Group ", group.groupName);
      }
      group = { ...group, launchConfigStatus: { ...group.launchConfigStatus, ...stands } };
      fill(head, describe(group, stands));
      fill(doing, tools(() => group, again));
      await part.show(stands, group, signal);
      return part.seconds?.() ?? (stands.status === "pending" ? PENDING_SECONDS : SECONDS);
    },
  };
}

/**
 * @param {any} group
 * @param {any} stands
 */
function describe(group, stands) {
  const unlisted = stands.unlistedServers;
  return facts([
    ["Status", status(stands.status)],
    ["Source servers", servers(stands)],
    ["Waits for", stands.waitingFor],
    ["Settles by", stands.status === "pending" ? moment(stands.deadline) : null],
    ["Held by", stands.heldBy ? make("a", { href: `#/${path("waves", stands.heldBy)}` }, "a wave") : null],
    ["Account and Region", `${group.accountId} ${group.region}`],
    ["Last applied", moment(stands.lastApplied)],
    ["Verified", moment(stands.verifiedAt, { old: true })],
    ["Applied by", stands.appliedBy],
    ["Drift", group.autoRepair ? "is repaired" : "is reported"],
    ["Description", group.description],
    [
      "Not in it",
      unlisted ? `${count(unlisted.count, "source server")} match its tags and are no members; an update takes them in` : null,
    ],
  ]);
}

/**
 * @param {() => any} group
 * @param {() => void} again
 */
function tools(group, again) {
  return [
    button("Start a wave…", () => startWave([group()]), { class: "act" }),
    APPLIES.map(([name, said, body]) => button(name, () => apply(group(), said, body, again))),
  ];
}

/**
 * @param {any} group
 * @param {string} said
 * @param {unknown} body
 * @param {() => void} again
 */
function apply({ groupId, groupName }, said, body, again) {
  askFirst({
    title: `Apply ${groupName}`,
    content: make("p", {}, `Of ${groupName} ${said}.`),
    act: "Apply",
    async perform(key) {
      await ask("POST", path("protection-groups", groupId, "apply-launch-configs"), { body, key });
      again();
    },
  });
}

/**
 * @param {HTMLElement} place
 * @param {string} _groupId
 * @param {() => void} again
 */
function showServers(place, _groupId, again) {
  /** @type {string | null} */
  let filter = null;
  /** @type {string[]} */
  let pages = [];
  let next = "";
  let live = false;
  const only = make(
    "select",
    { "aria-label": "Which source servers", onchange: turn },
    ["all", "failed", "pending"].map((each) => make("option", { value: each }, each)),
  );
  const check = make("label", {}, make("input", { type: "checkbox", onchange: look }), " compare with DRS and EC2, every minute");
  const list = make("div");
  place.append(make("div", { class: "tools" }, only, check), list);

  function turn() {
    filter = only.value;
    pages = [];
    again();
  }

  /** @param {any} event */
  function look(event) {
    live = event.target.checked;
    again();
  }

  return {
    // A page costs up to a hundred reads of DRS, which workers wait for: ten seconds of what AWS grants the account.
    seconds: () => (live ? LIVE_SECONDS : undefined),
    query: () => ({ servers: filter ?? "all", limit: A_PAGE, nextToken: pages.at(-1), live: live ? "true" : undefined }),
    /**
     * A page is of one generation: where there is a newer one, begin anew with its first.
     *
     * @param {unknown} error
     * @param {string} where
     * @param {AbortSignal} signal
     */
    mend(error, where, signal) {
      if (!(error instanceof Problem) || error.code !== "STATUS_CHANGED") return undefined;
      pages = [];
      return ask("GET", `${where}/launch-config-status`, { query: this.query(), signal });
    },
    /** @param {any} stands */
    async show({ serverConfigs, failedServers, nextToken }) {
      if (filter === null && failedServers > 0) {
        // What has failed is what its reader came for.
        only.value = "failed";
        turn();
        return;
      }
      filter ??= "all";
      next = nextToken;
      const back = pages.length > 0 ? button("First page", turn) : null;
      const on = () => {
        pages = [...pages, next];
        again();
      };
      const rows = Object.entries(serverConfigs).map(([id, each]) => row(id, each));
      fill(
        list,
        table(["Source server", "Status", "Last applied", "Why", ...(live ? ["In AWS now"] : [])], rows, "There are none."),
        back,
        nextToken ? button("Next page", on) : null,
      );
    },
  };
}

/**
 * @param {string} id
 * @param {any} stands
 */
function row(id, { status: name, lastApplied, errors, live }) {
  const cells = [make("code", {}, id), status(name), moment(lastApplied), errors.map(reason)];
  return live === undefined ? cells : [...cells, compared(live)];
}

/** @param {any} live */
function compared({ drift, errors }) {
  if (errors.length > 0) return errors.map(reason);
  if (drift.length === 0) return "as it is wanted";
  return drift.map(changed);
}

/** @param {HTMLElement} place */
function showDefinition(place) {
  const text = make("pre");
  place.append(
    make("p", {}, "As it is stored; prelaunch group update -f FILE replaces it, and prelaunch export writes it as a file."),
    text,
  );
  return {
    /**
     * @param {any} _stands
     * @param {any} group
     */
    async show(_stands, { launchConfigStatus: _status, ...definition }) {
      text.textContent = JSON.stringify(definition, null, 2);
    },
  };
}
