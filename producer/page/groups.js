/** All groups: which are ready, which are not, and what is done with several of them. */

import { ask, askAll, path, Problem } from "./api.js";
import { askFirst } from "./dialog.js";
import { button, fill, make, table } from "./dom.js";
import { isSignedOut } from "./signing.js";
import { startWave } from "./start.js";
import { count, moment, servers, status, words } from "./words.js";

const SECONDS_A_PAGE = 5;
const AT_ONCE = 4;
const STATUSES = ["failed", "pending", "ready", "not_configured"];

/**
 * Show all groups.
 *
 * @param {HTMLElement} place Where.
 * @param {() => void} again Reads them anew.
 */
export function showGroups(place, again) {
  /** @type {any[]} */
  let groups = [];
  let isRead = false;
  /** @type {Set<string>} */
  const chosen = new Set();
  const sums = make("p", { role: "status" });
  const list = make("div");
  const search = make("input", { type: "search", placeholder: "name, account or Region", "aria-label": "Search", oninput: show });
  const only = make(
    "select",
    { "aria-label": "Status", onchange: show },
    make("option", { value: "" }, "every status"),
    STATUSES.map((each) => make("option", { value: each }, words(each))),
  );
  const doing = make("div", { class: "tools" });
  place.append(make("h1", {}, "Protection groups"), sums, make("div", { class: "tools" }, search, only, doing), list);

  function seen() {
    const text = search.value.trim().toLowerCase();
    return groups.filter(
      ({ groupName, accountId, region, launchConfigStatus }) =>
        (only.value === "" || launchConfigStatus.status === only.value) &&
        [groupName, accountId, region].some((each) => each.toLowerCase().includes(text)),
    );
  }

  function show() {
    const known = new Set(groups.map(({ groupId }) => groupId));
    for (const id of chosen) if (!known.has(id)) chosen.delete(id);
    fill(sums, summary(groups));
    fill(doing, tools());
    // Before the first answer nobody knows whether there are any.
    if (!isRead) return;
    const shown = seen();
    const all = make("input", {
      type: "checkbox",
      "aria-label": "Choose all that are shown",
      "data-key": "all",
      checked: shown.length > 0 && shown.every(({ groupId }) => chosen.has(groupId)),
      onchange: (/** @type {any} */ event) => {
        for (const { groupId } of seen()) event.target.checked ? chosen.add(groupId) : chosen.delete(groupId);
        show();
      },
    });
    fill(
      list,
      table(
        [all, "Name", "Status", "Source servers", "Account and Region", "Last applied", "Verified", "By"],
        shown.map((group) => row(group, chosen, show)),
        groups.length === 0 ? "There are no groups yet: prelaunch group create -f FILE makes one." : "No group is like that.",
      ),
    );
  }

  function picked() {
    return groups.filter(({ groupId }) => chosen.has(groupId));
  }

  function tools() {
    const off = chosen.size === 0;
    const hidden = chosen.size - seen().filter(({ groupId }) => chosen.has(groupId)).length;
    const aside = hidden > 0 ? `, ${hidden} of them not shown` : "";
    return [
      button("Start a wave…", () => startWave(picked()), { disabled: off, class: "act" }),
      button("Apply…", () => applyAll(picked(), again), { disabled: off }),
      make("span", {}, off ? "Choose groups first." : `${count(chosen.size, "group")} chosen${aside}.`),
    ];
  }

  show();
  return {
    title: "Protection groups",
    /** @param {AbortSignal} signal */
    async refresh(signal) {
      const { found, pages } = await askAll("protection-groups", "protectionGroups", signal);
      groups = found;
      isRead = true;
      show();
      return pages * SECONDS_A_PAGE;
    },
  };
}

/** @param {any[]} groups */
function summary(groups) {
  if (groups.length === 0) return null;
  const numbers = STATUSES.map((name) => [name, groups.filter((group) => group.launchConfigStatus.status === name).length]);
  const told = numbers.filter(([, number]) => number !== 0);
  return [`${count(groups.length, "group")}: `, told.map(([name, number]) => [status(String(name)), ` ${number}  `])];
}

/**
 * @param {any} group
 * @param {Set<string>} chosen
 * @param {() => void} show
 */
function row({ groupId, groupName, accountId, region, launchConfigStatus: stands }, chosen, show) {
  const box = make("input", {
    type: "checkbox",
    "aria-label": `Choose ${groupName}`,
    "data-key": `choose ${groupId}`,
    checked: chosen.has(groupId),
    onchange: (/** @type {any} */ event) => {
      event.target.checked ? chosen.add(groupId) : chosen.delete(groupId);
      show();
    },
  });
  return [
    box,
    make("a", { href: `#/${path("groups", groupId)}`, "data-key": groupId }, groupName),
    [status(stands.status), held(stands.heldBy)],
    servers(stands),
    `${accountId} ${region}`,
    moment(stands.lastApplied),
    moment(stands.verifiedAt, { old: true }),
    stands.appliedBy ?? "–",
  ];
}

/** @param {string | null} waveId */
function held(waveId) {
  return waveId ? [" ", make("a", { href: `#/${path("waves", waveId)}` }, "in a wave")] : null;
}

/**
 * @param {any[]} groups
 * @param {() => void} again
 */
function applyAll(groups, again) {
  const kinds = [
    ["{}", "what is not ready", true],
    ['{"onlyFailed": true}', "only what has failed", false],
    ['{"force": true}', "all: read back, and written where it is different", false],
  ];
  askFirst({
    title: `Apply the launch configs of ${count(groups.length, "group")}`,
    content: make(
      "fieldset",
      {},
      kinds.map(([value, said, checked]) =>
        make("label", {}, make("input", { type: "radio", name: "kind", value, checked }), ` ${said}`),
      ),
    ),
    act: "Apply",
    async perform(key, form) {
      const body = JSON.parse(String(form.get("kind")));
      /** @type {any[]} */
      const refused = [];
      const waiting = [...groups];
      const work = async () => {
        for (let group = waiting.shift(); group !== undefined; group = waiting.shift()) {
          const where = path("protection-groups", group.groupId, "apply-launch-configs");
          const name = group.groupName;
          // A name is one request's alone, and each group is asked for by one of its own.
          await ask("POST", where, { body, key: `${key}-${group.groupId}` }).catch((error) => {
            if (isSignedOut(error)) throw error;
            refused.push({ message: `${name}: ${error.message}` });
          });
        }
      };
      await Promise.all(Array.from({ length: AT_ONCE }, work));
      again();
      if (refused.length > 0) throw new Problem(`${refused.length} of ${groups.length} were refused or not answered:`, { errors: refused });
    },
  });
}
