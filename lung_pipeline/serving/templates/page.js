// SPDX-License-Identifier: Apache-2.0
// The page for one scan: choose, send, follow, show. Text goes in as text, never as markup.
"use strict";

const POLL_MS = 700;
const TONES = { malignant: "malignant", benign: "benign", "no nodule": "no-nodule" };
const by = (id) => document.getElementById(id);
let chosen = [];
let job = null;
let sending = null;
let next = null;

function show(id) {
  for (const one of ["ask", "progress", "result"]) by(one).hidden = one !== id;
}

function choose(files) {
  chosen = Array.from(files);
  const bytes = chosen.reduce((sum, file) => sum + file.size, 0);
  by("chosen").textContent = chosen.length ? chosen.map((file) => file.name).join(", ") + " · " + size(bytes) : "";
  by("send").disabled = chosen.length === 0;
}

function size(bytes) {
  return bytes < 1e6 ? Math.max(1, Math.round(bytes / 1e3)) + " kB" : (bytes / 1e6).toFixed(1) + " MB";
}

async function ask(method, address, body) {
  const answer = await fetch(address, { method, body, headers: body ? { "Content-Type": "application/json" } : {} });
  return { ok: answer.ok, status: answer.status, said: await answer.json() };
}

function put(address, file, onShare) {
  return new Promise((resolve, reject) => {
    sending = new XMLHttpRequest();
    sending.open("PUT", address);
    sending.upload.onprogress = (event) => onShare(event.loaded / file.size);
    sending.onload = () => (sending.status === 200 ? resolve() : reject(said(sending.responseText)));
    sending.onerror = () => reject("lost");
    sending.onabort = () => reject(null);
    sending.send(file);
  });
}

function said(text) {
  try {
    const answer = JSON.parse(text);
    return answer.outcome || answer;
  } catch {
    return { message: "The server gave an answer that this page cannot read." };
  }
}

async function send() {
  show("progress");
  progress("Sending the scan", 0, "");
  const wanted = {
    files: chosen.map((file) => ({ name: file.name, bytes: file.size })),
    rule: document.querySelector("input[name=rule]:checked").value,
    dicom: by("dicom").checked,
    force: by("force").checked,
  };
  try {
    const made = await ask("POST", "/jobs", JSON.stringify(wanted));
    if (!made.ok) return refused(made.said.outcome || made.said);
    job = made.said.id;
    // Cancelled before the server had answered.
    if (by("progress").hidden) return remove();
    // After the "#", so that it is not sent with any request, and a reload finds its way back.
    history.replaceState(null, "", "#" + job);
    const all = chosen.reduce((sum, file) => sum + file.size, 0);
    let before = 0;
    for (const [number, file] of chosen.entries()) {
      await put(`/jobs/${job}/${number}`, file, (share) => progress("Sending the scan", (before + share * file.size) / all, ""));
      before += file.size;
    }
  } catch (problem) {
    if (problem === "lost") problem = await reason();
    return problem && refused(problem.rule || problem.message ? problem : { message: "The server cannot be reached." });
  }
  follow();
}

// A server that refuses in the middle of a file closes the connection, and its answer may be lost.
async function reason() {
  const silent = { message: "The server did not take the scan. Is it still running?" };
  const answer = await ask("GET", "/jobs/" + job).catch(() => null);
  return answer && answer.ok && answer.said.outcome.rule ? answer.said.outcome : silent;
}

async function follow() {
  const followed = job;
  let answer;
  try {
    answer = await ask("GET", "/jobs/" + followed);
  } catch {
    answer = null;
  }
  // Cancelled in the meantime: another scan may be chosen already.
  if (job !== followed) return;
  if (answer === null) return refused({ message: "The server cannot be reached any more." });
  if (!answer.ok) return again();
  const { state, position, step, share, outcome } = answer.said;
  if (state === "done") return done(answer.said);
  if (state === "cancelled") return again();
  if (state === "refused" || state === "failed") return refused(outcome);
  if (state === "waiting") progress("Waiting", null, position === 1 ? "One scan goes before." : `${position} scans go before.`);
  if (state === "running") progress(step ? step[0].toUpperCase() + step.slice(1) : "Starting", share || null, "");
  if (state === "uploading") return again();
  next = setTimeout(follow, POLL_MS);
}

function progress(doing, share, detail) {
  by("doing").textContent = doing;
  by("detail").textContent = detail;
  if (share === null) by("bar").removeAttribute("value");
  else by("bar").value = share;
}

function done(job) {
  const { verdict, rule, num_nodules, num_findings, seconds, cautions } = job.outcome;
  result(TONES[verdict] || "not-assessed", verdict, `${num_nodules} of ${num_findings} findings count as nodules. It took ${seconds} s.`, `Rule: ${rule}.`);
  by("cautions").replaceChildren(...cautions.map((text) => element("li", text)));
  const link = element("a", "Open the report");
  link.href = `/jobs/${job.id}/files/0`;
  link.target = "_blank";
  link.rel = "noopener";
  by("open-report").replaceChildren(link);
  by("list").replaceChildren(...job.files.map((file, number) => row(job.id, file, number)));
  by("downloads").hidden = false;
  by("remove").hidden = false;
}

function row(id, file, number) {
  const line = element("li", "");
  const link = element("a", file.name);
  link.href = `/jobs/${id}/files/${number}`;
  link.download = file.name.split("/").pop();
  line.append(link, element("span", size(file.bytes)));
  return line;
}

function refused({ value, place, rule, cure, message }) {
  const words = rule ? `${place}: ${rule}, got ${value}.` : message || "Something went wrong.";
  result("not-assessed", rule ? "Refused" : "Not done", words, cure || "");
  by("remove").hidden = true;
  by("cautions").replaceChildren();
  by("open-report").replaceChildren();
  by("downloads").hidden = true;
}

function result(tone, verdict, summary, why) {
  show("result");
  by("tone").className = "sheet verdict tone-" + tone;
  by("verdict").textContent = verdict;
  by("summary").textContent = summary;
  by("why").textContent = why;
  by("result").focus();
}

function again() {
  clearTimeout(next);
  job = null;
  history.replaceState(null, "", location.pathname);
  by("ask").reset();
  choose([]);
  show("ask");
}

function element(tag, text) {
  const made = document.createElement(tag);
  made.textContent = text;
  return made;
}

by("files").addEventListener("change", (event) => choose(event.target.files));
by("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  if (chosen.length) send();
});
async function remove() {
  const gone = job;
  if (sending) sending.abort();
  again();
  if (gone) await ask("DELETE", "/jobs/" + gone).catch(() => null);
}

by("cancel").addEventListener("click", remove);
by("remove").addEventListener("click", remove);
by("again").addEventListener("click", again);
for (const kind of ["dragenter", "dragover", "dragleave", "drop"]) {
  // Everywhere, or a scan dropped beside the field would be opened by the browser.
  document.addEventListener(kind, (event) => {
    event.preventDefault();
    by("drop").classList.toggle("over", kind === "dragenter" || kind === "dragover");
    if (kind === "drop" && !by("ask").hidden) choose(event.dataTransfer.files);
  });
}
choose([]);
if (/^#[\w-]{10,}$/.test(location.hash)) {
  job = location.hash.slice(1);
  show("progress");
  progress("Looking for the scan", null, "");
  follow();
}
