// Reads the public API every two seconds and shows it. Text is only ever set as text.
"use strict";
const icons = { Ready: "✔", Completed: "✔", Progressing: "◐", Waiting: "⏸", Paused: "‖", Drifted: "≠", Failed: "✖", Halted: "✖", Offline: "⌁", Unknown: "?" };
const at = (id) => document.getElementById(id);
let token = sessionStorage.getItem("token");
if (location.hash.startsWith("#token=")) {
  token = decodeURIComponent(location.hash.slice(7));
  sessionStorage.setItem("token", token);
  history.replaceState(null, "", "/");
}

async function read(kind) {
  const answer = await fetch(`/api/v1/${kind}`, { headers: { Authorization: `Bearer ${token}` } });
  if (answer.status === 401) throw new Error("sign in");
  if (!answer.ok) throw new Error((await answer.json()).detail);
  return (await answer.json()).items;
}

function state(word) {
  const span = document.createElement("span");
  span.className = word;
  span.textContent = `${icons[word] ?? "•"} ${word}`;
  return span;
}

function fill(body, rows) {
  body.replaceChildren(...rows.map((cells) => {
    const row = document.createElement("tr");
    for (const cell of cells) {
      const td = document.createElement("td");
      td.append(cell);
      row.append(td);
    }
    return row;
  }));
}

const short = (revision) => (revision ?? "-").replace(/@sha1:(.{7}).*/, "@$1");
const why = (item) => [item.reason, item.message].filter(Boolean).join(" ");

function show(rollouts, clusters) {
  fill(at("rollouts"), rollouts.map((r) => [
    `${r.app}#${r.id}`, short(r.revision), state(r.state),
    r.waves.map((w) => `${w.name} ${w.state} ${w.clusters.ready}/${w.clusters.total}`).join(" · "), why(r),
  ]));
  fill(at("clusters"), clusters.map((c) => [
    c.name, state(c.state), Object.entries(c.labels).map((l) => l.join("=")).join(" "),
    c.apps.map((a) => `${a.app} ${short(a.revision)}`).join(", "), why(c),
  ]));
  const counts = {};
  for (const c of clusters) counts[c.state] = (counts[c.state] ?? 0) + 1;
  at("summary").textContent = `${clusters.length} clusters: ` + Object.entries(counts).map(([s, n]) => `${n} ${s}`).join(" · ");
}

async function look() {
  let pause = 2000;
  try {
    if (!token) throw new Error("sign in");
    const [rollouts, clusters] = await Promise.all([read("rollouts"), read("clusters")]);
    show(rollouts, clusters);
    at("signin").hidden = true;
    at("content").hidden = false;
    at("live").textContent = "live";
  } catch (error) {
    at("live").textContent = error.message;
    if (error.message === "sign in") {
      at("signin").hidden = false;
      return;
    }
    pause = 5000;
  }
  setTimeout(look, pause);
}

at("signin").addEventListener("submit", (event) => {
  event.preventDefault();
  token = at("token").value.trim();
  sessionStorage.setItem("token", token);
  look();
});
look();
