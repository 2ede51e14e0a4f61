/** Starting a wave: a drill unless somebody says otherwise. */

import { ask, path } from "./api.js";
import { askFirst } from "./dialog.js";
import { make } from "./dom.js";
import { count, isOld } from "./words.js";

const MOST_GROUPS = 32;

/**
 * Ask how the groups are to be launched, and start it.
 *
 * @param {any[]} groups The groups, as a list of groups has them.
 */
export function startWave(groups) {
  const all = groups.map(({ launchConfigStatus: stands }) => stands);
  const total = all.reduce((sum, each) => sum + each.appliedServers + each.failedServers + each.pendingServers, 0);
  const drill = make("input", { type: "radio", name: "kind", value: "drill", checked: true });
  const recovery = make("input", { type: "radio", name: "kind", value: "recovery" });
  // A list does not tell how many source servers a group without launch config has: they are launched all the same.
  const bare = all.filter(({ status }) => status === "not_configured").length;
  const known = bare < groups.length ? [count(total, "source server")] : [];
  const rest = bare > 0 ? [`all source servers of ${count(bare, "group")} without launch config`] : [];
  const what = `${count(groups.length, "group")}, ${[...known, ...rest].join(" and ")}`;
  askFirst({
    title: `Start a wave over ${what}`,
    content: [
      make("p", {}, groups.map(({ groupName }) => groupName).join(", ")),
      tellReadiness(all),
      groups.length > MOST_GROUPS
        ? make("p", { class: "failed" }, `A wave has at most ${MOST_GROUPS} groups; start several.`)
        : null,
      make(
        "fieldset",
        {},
        make("legend", {}, "Kind"),
        make("label", {}, drill, " Drill: instances beside what runs, for a test"),
        make("label", {}, recovery, " Recovery: in earnest"),
      ),
      choice("onNotReady", "What is not ready", [
        ["apply", "is applied first, the rest starts at once"],
        ["skip", "is left out"],
        ["fail", "keeps the wave from being started"],
      ]),
      choice("verify", "What is ready", [
        ["stored", "starts without a look at DRS and EC2"],
        ["live", "is read once more before anything starts"],
      ]),
    ],
    act: "Start",
    name: () => (recovery.checked ? `Start the RECOVERY of ${what}` : `Start a drill of ${what}`),
    isGrave: () => recovery.checked,
    async perform(key, form) {
      const wave = await ask("POST", "waves", {
        key,
        body: {
          groupIds: groups.map(({ groupId }) => groupId),
          isDrill: form.get("kind") !== "recovery",
          onNotReady: form.get("onNotReady"),
          verify: form.get("verify"),
        },
      });
      location.hash = `#/${path("waves", wave.waveId)}`;
    },
  });
}

/**
 * Say what keeps source servers from being started at once.
 *
 * @param {any[]} all Where each group stands.
 */
function tellReadiness(all) {
  const late = all.reduce((sum, each) => sum + each.failedServers + each.pendingServers, 0);
  const old = all.filter(({ status, verifiedAt }) => status === "ready" && isOld(verifiedAt)).length;
  const held = all.filter(({ heldBy }) => heldBy).length;
  const told = [
    late > 0 ? `${count(late, "source server")} of these ${late === 1 ? "is" : "are"} not ready.` : null,
    old > 0 ? `The last read-back of ${count(old, "group")} is more than a day ago: for a wave that is not ready.` : null,
    held > 0 ? `${count(held, "group")} ${held === 1 ? "is" : "are"} in a wave already.` : null,
  ].filter((each) => each !== null);
  if (told.length === 0) return make("p", {}, "All of them are ready: they start at once.");
  return told.map((each) => make("p", { class: "failed" }, each));
}

/**
 * @param {string} name
 * @param {string} title
 * @param {[string, string][]} options
 */
function choice(name, title, options) {
  const select = make("select", { name }, options.map(([value, said]) => make("option", { value }, said)));
  return make("label", {}, `${title} `, select);
}
