/** The settings dialog: the user's key and notifications. */

import { deleteIdentity, saveIdentity } from "./keyring.mjs";
import { makeKeyFile, onSubmit } from "./login-form.mjs";

/** @typedef {import("./login-form.mjs").Login} Login */

/** @param {string} id @returns {any} */
const byId = (id) => document.getElementById(id);

/** @param {Login} login */
export function settingsView(login) {
  let { keyFile } = login;
  byId("show-settings").addEventListener("click", () => {
    draw();
    byId("settings").showModal();
  });
  onSubmit(byId("export-form"), byId("export-state"), async () => {
    keyFile = await makeKeyFile(login, byId("export-passphrase").value);
    byId("export-passphrase").value = "";
    await saveIdentity(login.identity, keyFile);
    download(keyFile, `${login.identity.userId}.pem`);
    draw();
  });
  byId("download-again").addEventListener("click", () => keyFile && download(keyFile, `${login.identity.userId}.pem`));
  byId("notify").addEventListener("click", async () => {
    await Notification.requestPermission();
    draw();
  });
  byId("forget").addEventListener("click", async () => {
    if (!confirm("Remove your key from this browser forever?")) return;
    await deleteIdentity();
    location.reload();
  });

  function draw() {
    byId("export-form").hidden = keyFile !== null || login.key === null;
    byId("download-again").hidden = keyFile === null;
    byId("export-state").textContent =
      keyFile !== null
        ? "Your key is in a file, encrypted with your passphrase. Open the file on the other device."
        : login.key !== null
          ? "Save your key in a file. This is possible only now: after this page is closed, no script can read the key."
          : "Your key cannot leave this browser, because no key file was saved when the key was made.";
    const state = "Notification" in window ? Notification.permission : "denied";
    byId("notify").hidden = state !== "default";
    byId("notify-state").textContent =
      state === "granted"
        ? "You are notified of messages while this page is in the background."
        : state === "denied"
          ? "This browser does not allow notifications."
          : "Be notified of messages while this page is in the background.";
  }
}

/** @param {string} text @param {string} name */
function download(text, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "application/x-pem-file" }));
  link.download = name;
  link.click();
  URL.revokeObjectURL(link.href);
}
