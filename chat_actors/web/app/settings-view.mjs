/** The settings: one's key, notifications. */

import { forgetIdentity, keepIdentity } from "./keyring.mjs";
import { makeKeyFile, onSubmit } from "./welcome.mjs";

/** @typedef {import("./welcome.mjs").Arrived} Arrived */

/** @param {string} id @returns {any} */
const at = (id) => document.getElementById(id);

/** @param {Arrived} arrived */
export function settingsView(arrived) {
  let { keyFile } = arrived;
  at("show-settings").addEventListener("click", () => {
    draw();
    at("settings").showModal();
  });
  onSubmit(at("export-form"), at("export-state"), async () => {
    keyFile = await makeKeyFile(arrived, at("export-passphrase").value);
    at("export-passphrase").value = "";
    await keepIdentity(arrived.identity, keyFile);
    save(keyFile, `${arrived.identity.userId}.pem`);
    draw();
  });
  at("download-again").addEventListener("click", () => keyFile && save(keyFile, `${arrived.identity.userId}.pem`));
  at("notify").addEventListener("click", async () => {
    await Notification.requestPermission();
    draw();
  });
  at("forget").addEventListener("click", async () => {
    if (!confirm("Remove your key from this browser, for ever?")) return;
    await forgetIdentity();
    location.reload();
  });

  function draw() {
    at("export-form").hidden = keyFile !== null || arrived.key === null;
    at("download-again").hidden = keyFile === null;
    at("export-state").textContent =
      keyFile !== null
        ? "Your key is in a file, under a passphrase. Open it on the other device."
        : arrived.key !== null
          ? "Take your key with you in a file. That can be done only now: once this page is closed, no script can read the key any more."
          : "Your key can not leave this browser: no key file was made when the key was.";
    const state = "Notification" in window ? Notification.permission : "denied";
    at("notify").hidden = state !== "default";
    at("notify-state").textContent =
      state === "granted"
        ? "You hear of messages while you look elsewhere."
        : state === "denied"
          ? "This browser does not allow them."
          : "Hear of messages while you look elsewhere.";
  }
}

/** @param {string} text @param {string} name */
function save(text, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "application/x-pem-file" }));
  link.download = name;
  link.click();
  URL.revokeObjectURL(link.href);
}
