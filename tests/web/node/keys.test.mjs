import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createPrivateKey, verify } from "node:crypto";
import { test } from "node:test";

import { decryptKey, encryptKey, exportKey, Identity, WrongPassphrase } from "../../../chat_actors/web/client/chat-client.mjs";

const { identity, key } = await Identity.createWithKey("alice");

test("the kept private key is not extractable", async () => {
  await assert.rejects(crypto.subtle.exportKey("pkcs8", identity.kept.privateKey));
});

test("a signature verifies with the public key", async () => {
  const challenge = new Uint8Array(32).fill(7);
  const signature = Buffer.from(await identity.sign(challenge), "base64");
  assert.ok(verify("sha256", challenge, identity.publicPem, signature));
});

test("a key file restores the identity, also in Node", async () => {
  const pem = await exportKey("alice", key, "correct horse");
  assert.equal((await Identity.import("alice", pem, "correct horse")).publicPem, identity.publicPem);
  assert.deepEqual(createPrivateKey({ key: pem, passphrase: "correct horse" }).export({ type: "pkcs8", format: "der" }), Buffer.from(key));
});

test("a key file encrypted by OpenSSL is read", async () => {
  const folder = mkdtempSync(join(tmpdir(), "keys-"));
  try {
    writeFileSync(join(folder, "key.der"), key);
    const arguments_ = ["pkcs8", "-topk8", "-v2", "aes-256-cbc", "-inform", "DER", "-in", join(folder, "key.der")];
    const pem = execFileSync("openssl", [...arguments_, "-passout", "pass:horse"], { encoding: "utf8" });
    assert.deepEqual(await decryptKey(pem, "horse"), key);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("a wrong passphrase is reported as such", async () => {
  const pem = await encryptKey(key, "right");
  await assert.rejects(decryptKey(pem, "wrong"), WrongPassphrase);
});

test("an unreadable or damaged key file is reported", async () => {
  await assert.rejects(decryptKey("hello", "x"), SyntaxError);
  const pem = await encryptKey(key, "right");
  const lines = pem.split("\n");
  for (const damaged of [lines.toSpliced(5, 3).join("\n"), lines.toSpliced(1, 1).join("\n")]) {
    await assert.rejects(decryptKey(damaged, "right"), /damaged|another way|passphrase/);
  }
});
