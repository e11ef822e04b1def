// What is shown

const groupOf = new Map();
data.groups.forEach((group) => group.flows.forEach((id) => groupOf.set(id, group)));
const ids = [...groupOf.keys()];
const moments = ids.map((id) => data.flows[id].at);
const first = moments.reduce((a, b) => Math.min(a, b), Infinity);
const last = moments.reduce((a, b) => Math.max(a, b), -Infinity);
const bin = (flow) => (last > first ? Math.min(BINS - 1, Math.floor(((flow.at - first) / (last - first)) * BINS)) : 0);

const NO_ERRNO = "warning only";
const facets = {
  time: { title: "Over time", of: (flow) => [bin(flow)] },
  errno: { title: "By errno", of: (flow) => (pooled(flow.e).length ? pooled(flow.e) : [NO_ERRNO]) },
  service: { title: "By service", of: (flow) => [flow.s] },
  rule: { title: "By rule", of: (flow) => pooled(flow.r) },
};
const chosen = Object.fromEntries(Object.keys(facets).map((name) => [name, new Set()]));
let words = [];
let order = "number";

const haystacks = new Map();
function haystack(id) {
  if (!haystacks.has(id)) {
    const flow = data.flows[id];
    const told = [...flow.v.map((v) => pooled(v[4])), ...flow.f.map((f) => pooled(f[4]) + " " + pooled(f[5]))];
    haystacks.set(id, [flow.c, flow.s, ...pooled(flow.e), ...pooled(flow.r), ...told, `flow-${id}`].join(" ").toLowerCase());
  }
  return haystacks.get(id);
}

function passes(id, except) {
  const flow = data.flows[id];
  for (const name in facets) {
    if (name === except || !chosen[name].size) continue;
    if (!facets[name].of(flow).some((value) => chosen[name].has(value))) return false;
  }
  return words.every((word) => haystack(id).includes(word));
}

// The frame of the page

const app = document.getElementById("app");
const facetBox = make("section", { class: "facets", "aria-label": "Filters" });
const status = make("output", { "aria-live": "polite" });
const list = make("div", { id: "list" });
const search = make("input", {
  type: "search",
  placeholder: "Search: address, port, errno, rule, words",
  "aria-label": "Search the connections",
  input: debounce(() => {
    words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    show();
  }),
});
const ORDERS = { number: "Worst first", time: "Earliest first", service: "By service", client: "By client" };
const sorting = make(
  "select",
  { "aria-label": "Order", change: () => { order = sorting.value; show(); } },
  Object.entries(ORDERS).map(([value, text]) => make("option", { value }, text)),
);
const reset = make("button", { type: "button", click: clear }, "Show all");

function debounce(action) {
  let timer = 0;
  return () => {
    clearTimeout(timer);
    timer = setTimeout(action, 120);
  };
}

function clear() {
  Object.values(chosen).forEach((values) => values.clear());
  words = [];
  search.value = "";
  show();
}

function toggle(name, value) {
  if (!chosen[name].delete(value)) chosen[name].add(value);
  show();
  const again = facetBox.querySelector(`[data-key="${CSS.escape(`${name} ${value}`)}"]`);
  if (again) again.focus();
}

function tally(name) {
  const counts = new Map();
  for (const id of ids) {
    if (passes(id, name)) for (const value of new Set(facets[name].of(data.flows[id]))) counts.set(value, (counts.get(value) || 0) + 1);
  }
  for (const value of chosen[name]) if (!counts.has(value)) counts.set(value, 0);
  return counts;
}

const times = last > first ? overTime(first, last, chosen.time, show) : null;
if (times) facetBox.append(make("div", { class: "facet wide" }, make("h2", {}, facets.time.title), times.element));

// The chart stays where it is, it may have the focus.
function showFacets() {
  if (times) times.update(tally("time"));
  facetBox.querySelectorAll(".facet:not(.wide)").forEach((facet) => facet.remove());
  facetBox.append(...["errno", "service", "rule"].map(valueFacet));
}

function valueFacet(name) {
  const counts = [...tally(name)].sort((a, b) => b[1] - a[1] || String(a[0]).localeCompare(String(b[0])));
  const most = Math.max(1, ...counts.map((pair) => pair[1]));
  const values = make("div", { class: "values" });
  const add = (pairs) => values.append(...pairs.map(([value, count]) => valueButton(name, value, count, most)));
  add(counts.slice(0, 6));
  const rest = counts.slice(6, 300);
  if (rest.length) {
    const more = make("button", { type: "button", class: "value more", click: () => { more.remove(); add(rest); } }, `${number(counts.length - 6)} more`);
    values.append(more);
  }
  return make("div", { class: "facet" }, make("h2", {}, facets[name].title), values);
}

function valueButton(name, value, count, most) {
  const bar = make("i");
  bar.style.width = `${(100 * count) / most}%`;
  return make(
    "button",
    { type: "button", class: "value", title: value, "aria-pressed": String(chosen[name].has(value)), "data-key": `${name} ${value}`, click: () => toggle(name, value) },
    make("b", {}, value), make("span", {}, number(count)), make("div", { class: "bar" }, bar),
  );
}

// Groups and flows

const openGroups = new Set();
const openFlows = new Set();
const shownOf = new Map();
let shownGroups = PAGE;

const KEYS = { time: (id) => data.flows[id].at, service: (id) => data.flows[id].s, client: (id) => data.flows[id].c };

function compare(a, b) {
  return typeof a === "number" ? a - b : a.localeCompare(b, "en", { numeric: true });
}

function show() {
  const passing = data.groups.map((group) => ({ group, flows: group.flows.filter((id) => passes(id)) })).filter((row) => row.flows.length);
  const key = KEYS[order];
  if (key) {
    for (const row of passing) {
      const keyed = row.flows.map((id) => [key(id), id]).sort((a, b) => compare(a[0], b[0]) || a[1] - b[1]);
      row.flows = keyed.map((pair) => pair[1]);
      row.key = keyed[0][0];
    }
    passing.sort((a, b) => compare(a.key, b.key));
  }
  const count = passing.reduce((sum, row) => sum + row.flows.length, 0);
  const all = count === ids.length;
  const noun = ids.length === 1 ? "flow" : "flows";
  status.textContent = all ? `${number(count)} ${noun}` : `${number(count)} of ${number(ids.length)} ${noun}`;
  reset.hidden = all && !words.length && Object.values(chosen).every((values) => !values.size);
  showFacets();
  list.replaceChildren(...passing.slice(0, shownGroups).map(groupCard));
  if (!passing.length) list.append(make("p", { class: "quiet" }, "No connection fits these filters."));
  if (passing.length > shownGroups) {
    const more = make("button", { type: "button", class: "more", click: () => { shownGroups += 200; show(); } });
    more.textContent = `Show more kinds (${number(passing.length - shownGroups)} left)`;
    list.append(more);
  }
}

function groupCard({ group, flows }) {
  const open = openGroups.has(group);
  const card = make("section", { class: `group${group.failed ? "" : " warning"}` });
  const part = flows.length < group.flows.length ? `of ${number(group.flows.length)}` : flows.length === 1 ? "flow" : "flows";
  const head = make(
    "button",
    { type: "button", "aria-expanded": String(open) },
    make("span", { class: "many" }, number(flows.length), make("small", {}, part)),
    make("span", {}, make("strong", {}, group.title), make("span", { class: "why" }, group.cause), make("span", { class: "who" }, group.who)),
  );
  card.append(make("h2", {}, head));
  let body = null;
  const set = (wanted) => {
    head.setAttribute("aria-expanded", String(wanted));
    if (wanted) {
      openGroups.add(group);
      body = groupBody(group, flows);
      card.append(body);
    } else {
      openGroups.delete(group);
      body.remove();
    }
  };
  head.addEventListener("click", () => set(head.getAttribute("aria-expanded") !== "true"));
  if (open) set(true);
  return card;
}

function groupBody(group, flows) {
  const facts = group.retried ? [["retried", group.retried], ...group.facts] : group.facts;
  const body = make("div", { class: "inside" }, facts.length ? terms(facts) : null);
  const rows = make("div");
  const more = make("button", { type: "button", class: "more" });
  const grow = (upto) => {
    const from = rows.childElementCount;
    rows.append(...flows.slice(from, upto).map(flowRow));
    shownOf.set(group, rows.childElementCount);
    more.hidden = rows.childElementCount >= flows.length;
    more.textContent = `Show more (${number(flows.length - rows.childElementCount)} left)`;
  };
  more.addEventListener("click", () => grow(rows.childElementCount + 4 * PAGE));
  grow(Math.max(PAGE, shownOf.get(group) || 0));
  body.append(rows, more);
  return body;
}

const terms = (pairs) => make("dl", { class: "facts" }, pairs.flatMap(([label, text]) => [make("dt", {}, label), make("dd", {}, text)]));

function flowRow(id) {
  const flow = data.flows[id];
  const row = make("section", { class: "flow", id: `flow-${id}` });
  const again = flow.v.some((verdict) => verdict[9]);
  const head = make(
    "button",
    { type: "button", "aria-expanded": "false" },
    make("span", { class: "mono" }, `${flow.c} \u2192 ${flow.s}`),
    again ? make("span", { class: "tag good" }, "recovered") : null,
    make("span", { class: "when" }, flow.start),
  );
  row.append(make("h3", {}, head));
  let body = null;
  const set = (wanted) => {
    head.setAttribute("aria-expanded", String(wanted));
    row.classList.toggle("open", wanted);
    if (wanted) {
      openFlows.add(id);
      body = detail(id);
      row.append(body);
    } else {
      openFlows.delete(id);
      body.remove();
    }
  };
  head.addEventListener("click", () => set(head.getAttribute("aria-expanded") !== "true"));
  if (openFlows.has(id)) set(true);
  return row;
}

// One flow

function detail(id) {
  const flow = data.flows[id];
  const box = make("div", { class: "detail" });
  box.append(...(flow.v.length ? flow.v.map((verdict) => verdictBox(flow, verdict)) : warnings(flow)));
  if (flow.said) {
    box.append(make("h3", {}, "What the programs said last"), make("ul", { class: "mono" }, flow.said.map(([frame, side, text]) => make("li", {}, `frame ${frame}, ${SIDES[side]}: ${pooled(text)}`))));
  }
  if (flow.l.length) box.append(ladderBox(flow));
  if (flow.full && packets(flow).some((line) => line.length && line.seq !== null)) box.append(plotBox(flow));
  for (const verdict of flow.v) box.append(callsBox(verdict));
  box.append(...advice(flow));
  const others = flow.v.length ? flow.f.filter((finding) => !flow.v.some((v) => v[2] === finding[2] && v[0] === finding[0])) : [];
  if (others.length) {
    box.append(make("h3", {}, "Also seen"), make("ul", {}, others.map((f) => make("li", {}, `${pooled(f[4])} (${SIDES[f[0]]}, ${f[2]}). ${pooled(f[5])} Frames ${f[3].join(" ")}.`))));
  }
  box.append(look(flow));
  const facts = [["packets", number(flow.n)], ...(flow.in === undefined ? [] : [["in", pooled(flow.in).join(", ")]])];
  if (flow.guessed) facts.push(["client", "which end is the client is a guess: the capture began after the handshake"]);
  box.append(terms(facts));
  if (flow.l.length) box.append(frameTable(flow));
  box.append(make("p", {}, make("a", { href: `#flow-${id}` }, "Link to this connection")));
  return box;
}

const tag = (text, kind = text) => make("span", { class: `tag ${kind}` }, text);

function verdictBox(flow, [side, sure, rule, , sentence, doubts, , , , recovered, when]) {
  const finding = flow.f.find((f) => f[2] === rule && f[0] === side);
  return make(
    "div",
    { class: "said" },
    make("p", {}, pooled(sentence)),
    finding ? make("p", {}, `${pooled(finding[4])}. ${pooled(finding[5])}`) : null,
    make("p", {}, tag(sure), " ", tag(rule, ""), ` at ${when}`, recovered ? [" ", tag("recovered", "good")] : null),
    pooled(doubts).map((doubt) => make("p", { class: "quiet" }, `Doubt: ${doubt}.`)),
  );
}

const warnings = (flow) =>
  flow.f.map((f) => make("div", { class: "said warning" }, make("p", {}, `${pooled(f[4])} (the ${SIDES[f[0]]}).`), make("p", {}, pooled(f[5])), make("p", {}, tag(f[1], "warning"), " ", tag(f[2], ""))));

function callsBox(verdict) {
  const rows = pooled(verdict[6]).map((cells) =>
    make("tr", {}, make("th", { scope: "row" }, cells[0]), make("td", {}, cells[1] || "\u2013"), make("td", {}, cells[2] || "\u2013")),
  );
  const logs = pooled(verdict[7]);
  return make(
    "div",
    {},
    make("h3", {}, `What the ${SIDES[verdict[0]]}'s calls return`),
    make(
      "div", { class: "scroll" },
      make("table", {}, make("thead", {}, make("tr", {}, ["call", "if it is the first one", "once the error was told"].map((text) => make("th", { scope: "col" }, text)))), make("tbody", {}, rows)),
    ),
    logs.length ? [make("p", { class: "quiet" }, "In logs:"), make("pre", {}, logs.join("\n"))] : null,
  );
}

function advice(flow) {
  const told = new Set();
  const found = flow.v.length ? flow.f.filter((f) => flow.v.some((v) => v[2] === f[2])) : flow.f;
  return found.filter((f) => !told.has(f[2]) && told.add(f[2])).map((f) =>
    make("div", {}, make("h3", {}, "Why"), make("p", {}, pooled(f[6])), make("h3", {}, "What to do"), make("p", {}, pooled(f[7])), ruleBox(f[2])),
  );
}

function ruleBox(name) {
  const text = data.rules[name];
  const more = make("p", { class: "quiet" }, "More: ", make("code", {}, `errnoscope explain ${name}`));
  return text ? [make("details", {}, make("summary", {}, `The rule ${name}`), make("pre", { class: "rule" }, text)), more] : more;
}

function look(flow) {
  const code = make("code", {}, flow.y);
  const button = make("button", { type: "button", click: () => copy(flow.y, code, button) }, "Copy");
  button.setAttribute("aria-label", "Copy the display filter");
  return make("div", {}, make("h3", {}, "Wireshark display filter"), make("div", { class: "copy" }, code, button));
}

async function copy(text, element, button) {
  let done = false;
  try {
    await navigator.clipboard.writeText(text);
    done = true;
  } catch {
    const range = document.createRange();
    range.selectNodeContents(element);
    getSelection().removeAllRanges();
    getSelection().addRange(range);
    done = document.execCommand("copy");
  }
  button.textContent = done ? "Copied" : "Selected";
  setTimeout(() => { button.textContent = "Copy"; }, 1500);
}

function frameTable(flow) {
  const lines = packets(flow);
  const several = lines.some((line) => line.file);
  const details = make("details", {}, make("summary", {}, "Frames as a table"));
  const names = ["frame", ...(several ? ["in"] : []), "s", "from", "segment", ...(flow.full ? ["seq", "ack", "length", "window", "client", "server"] : []), ""];
  const cells = (line) => [
    line.frame, ...(several ? [line.file] : []), (line.at / 1e6).toFixed(6), line.reporter || SIDES[line.side], line.label,
    ...(flow.full ? [line.seq, line.ack, line.length, line.window, ...line.states] : []), line.decides ? "decides" : "",
  ];
  const row = (line) => make("tr", { class: line.decides ? "decides" : null }, cells(line).map((text) => make("td", {}, text === null ? "" : String(text))));
  details.addEventListener("toggle", () => {
    if (details.childElementCount > 1) return;
    const head = make("thead", {}, make("tr", {}, names.map((text) => make("th", { scope: "col" }, text))));
    details.append(make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Frames" }, make("table", {}, head, make("tbody", {}, lines.map(row)))));
  });
  return details;
}

// Links, theme, start

function follow() {
  const id = Number((/^#flow-(\d+)$/.exec(location.hash) || [])[1]);
  const group = groupOf.get(id);
  if (!group) return;
  if (!passes(id)) clear();
  openGroups.add(group);
  openFlows.add(id);
  order = "number";
  sorting.value = order;
  shownOf.set(group, Math.max(shownOf.get(group) || 0, group.flows.indexOf(id) + 1));
  shownGroups = Math.max(shownGroups, data.groups.indexOf(group) + 1);
  show();
  document.getElementById(`flow-${id}`).scrollIntoView();
  focusOn(id);
}

function focusOn(id) {
  const row = document.getElementById(`flow-${id}`);
  if (row) row.querySelector("button").focus({ preventScroll: true });
}

const theme = document.getElementById("theme");
theme.hidden = false;
theme.addEventListener("click", () => {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  repaint();
});

if (ids.length) {
  if (ids.length > 1) app.append(facetBox);
  app.append(make("div", { class: "tools" }, ...(ids.length > 1 ? [search, sorting, reset, status] : [])), list);
  if (ids.length === 1) openFlows.add(ids[0]);
  if (data.groups.length === 1) openGroups.add(data.groups[0]);
  show();
  addEventListener("hashchange", follow);
  follow();
  // Once it has loaded a browser goes to the target by itself, and takes the focus away.
  addEventListener("load", () => setTimeout(() => focusOn(location.hash.replace("#flow-", ""))));
}
