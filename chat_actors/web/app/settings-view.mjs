/** The settings dialog: the user's key and notifications. */

import { forgetIdentity, keepIdentity } from "./keyring.mjs";
import { makeKeyFile, onSubmit } from "./welcome.mjs";

/** @typedef {import("./welcome.mjs").Login} Login */

/** @param {string} id @returns {any} */
const at = (id) => document.getElementById(id);

/** @param {Login} login */
export function settingsView(login) {
  let { keyFile } = login;
  at("show-settings").addEventListener("click", () => {
    draw();
    at("settings").showModal();
  });
  onSubmit(at("export-form"), at("export-state"), async () => {
    keyFile = await makeKeyFile(login, at("export-passphrase").value);
    at("export-passphrase").value = "";
    await keepIdentity(login.identity, keyFile);
    save(keyFile, `${login.identity.userId}.pem`);
    draw();
  });
  at("download-again").addEventListener("click", () => keyFile && save(keyFile, `${login.identity.userId}.pem`));
  at("notify").addEventListener("click", async () => {
    await Notification.requestPermission();
    draw();
  });
  at("forget").addEventListener("click", async () => {
    if (!confirm("Remove your key from this browser forever?")) return;
    await forgetIdentity();
    location.reload();
  });

  function draw() {
    at("export-form").hidden = keyFile !== null || login.key === null;
    at("download-again").hidden = keyFile === null;
    at("export-state").textContent =
      keyFile !== null
        ? "Your key is in a file, encrypted with your passphrase. Open the file on the other device."
        : login.key !== null
          ? "Save your key in a file. This is possible only now: after this page is closed, no script can read the key."
          : "Your key cannot leave this browser, because no key file was saved when the key was made.";
    const state = "Notification" in window ? Notification.permission : "denied";
    at("notify").hidden = state !== "default";
    at("notify-state").textContent =
      state === "granted"
        ? "You are notified of messages while this page is in the background."
        : state === "denied"
          ? "This browser does not allow notifications."
          : "Be notified of messages while this page is in the background.";
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
