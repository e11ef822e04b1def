"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const pooled = (place) => data.pool[place];
  const SIDES = ["client", "server"];
  const PAGE = 50;
  const BINS = 60;

  // Text reaches the page by text nodes and attributes only: it may come from the capture.
  function make(name, attributes = {}, ...children) {
    const element = document.createElement(name);
    return fill(element, attributes, children);
  }

  function drawn(name, attributes = {}, ...children) {
    return fill(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);
  }

  function fill(element, attributes, children) {
    for (const [key, value] of Object.entries(attributes)) {
      if (typeof value === "function") element.addEventListener(key, value);
      else if (value !== null && value !== undefined && value !== false) element.setAttribute(key, value === true ? "" : value);
    }
    element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== ""));
    return element;
  }

  const number = (value) => value.toLocaleString("en-US");
  const clock = (seconds) => new Date(seconds * 1000).toISOString().slice(11, 19);

  function seconds(micros) {
    const value = micros / 1e6;
    if (value < 0.0995) return `${(value * 1000).toPrecision(2) * 1} ms`;
    if (value < 600) return `${value < 10 ? value.toFixed(2) : value.toFixed(1)} s`;
    return `${Math.round(value / 60)} min`;
  }

  // What is shown

  const groupOf = new Map();
  data.groups.forEach((group) => group.flows.forEach((id) => groupOf.set(id, group)));
  const ids = [...groupOf.keys()];
  const times = ids.map((id) => data.flows[id].at);
  const first = times.reduce((a, b) => Math.min(a, b), Infinity);
  const last = times.reduce((a, b) => Math.max(a, b), -Infinity);
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

  function timeFacet() {
    const counts = tally("time");
    const most = Math.max(1, ...counts.values());
    const step = (last - first) / BINS;
    const bars = make("div", { class: "bars", role: "group", "aria-label": "Failures over time" });
    for (let at = 0; at < BINS; at++) {
      const count = counts.get(at) || 0;
      const text = `${clock(first + at * step)} to ${clock(first + (at + 1) * step)}: ${number(count)}`;
      const bar = make("i");
      bar.style.height = count ? `${Math.max(4, (100 * count) / most)}%` : "0";
      bars.append(
        make(
          "button",
          {
            type: "button", title: text, "aria-label": text, "aria-pressed": String(chosen.time.has(at)),
            tabindex: count || chosen.time.has(at) ? null : "-1", "data-key": `time ${at}`, click: () => toggle("time", at),
          },
          bar,
        ),
      );
    }
    const axis = make("div", { class: "axis" }, make("span", {}, clock(first)), make("span", {}, `highest bar: ${number(most)}`), make("span", {}, clock(last)));
    return make("div", { class: "facet wide" }, make("h2", {}, facets.time.title), bars, axis);
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
    const noun = ids.length === 1 ? "connection" : "connections";
    status.textContent = all ? `${number(count)} ${noun}` : `${number(count)} of ${number(ids.length)} ${noun}`;
    reset.hidden = all && !words.length && Object.values(chosen).every((values) => !values.size);
    facetBox.replaceChildren(...(last > first ? [timeFacet()] : []), ...["errno", "service", "rule"].map(valueFacet));
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
    if (flow.l.length) box.append(ladderBox(flow));
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

  function verdictBox(flow, [side, sure, rule, , sentence, doubts, , , , recovered]) {
    const finding = flow.f.find((f) => f[2] === rule && f[0] === side);
    return make(
      "div",
      { class: "said" },
      make("p", {}, pooled(sentence)),
      finding ? make("p", {}, `${pooled(finding[4])}. ${pooled(finding[5])}`) : null,
      make("p", {}, tag(sure), " ", tag(rule, ""), recovered ? [" ", tag("recovered", "good")] : null),
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
      make("div", {}, make("h3", {}, "Why"), make("p", {}, pooled(f[6])), make("h3", {}, "What to do"), make("p", {}, pooled(f[7])), make("p", { class: "quiet" }, "More: ", make("code", {}, `errnoscope explain ${f[2]}`))),
    );
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
    const rows = flow.l.map(([frame, at, side, label, decides, reporter]) =>
      make("tr", { class: decides ? "decides" : null }, [frame, (at / 1e6).toFixed(6), reporter || SIDES[side], pooled(label), decides ? "decides" : ""].map((text) => make("td", {}, String(text)))),
    );
    return make(
      "details", {}, make("summary", {}, "Frames as a table"),
      make("div", { class: "scroll" }, make("table", {}, make("thead", {}, make("tr", {}, ["frame", "s", "from", "segment", ""].map((text) => make("th", { scope: "col" }, text)))), make("tbody", {}, rows))),
    );
  }

  // The ladder

  const LEFT = 150, RIGHT = 690, WIDTH = 840, MIDDLE = (LEFT + RIGHT) / 2, STEP = 34;
  const LADDER_KEEP = 3, LADDER_FULL = 16;

  function ladderBox(flow) {
    const box = make("div");
    let folded = flow.l.length > LADDER_FULL;
    const button = make("button", { type: "button", class: "more", click: () => { folded = !folded; draw(); } });
    const draw = () => {
      button.textContent = folded ? `Show all ${flow.l.length} segments` : "Fold what is everyday";
      box.replaceChildren(ladder(flow, folded, () => { folded = false; draw(); }));
      if (flow.l.length > LADDER_FULL) box.append(button);
    };
    draw();
    const legend = "Marked segments decide. Numbers count from each end's first; segments that matter to nothing are left out. Sloped by the round trip of the handshake.";
    return make("div", {}, make("h3", {}, "Ladder"), make("div", { class: "scroll" }, box), make("p", { class: "quiet" }, legend));
  }

  function kept(lines) {
    const keep = new Set();
    lines.forEach((line, at) => {
      if (at < LADDER_KEEP || at >= lines.length - LADDER_KEEP) keep.add(at);
    });
    const deciding = lines.map((line, at) => (line[4] ? at : -1)).filter((at) => at >= 0);
    const marked = deciding.length > LADDER_FULL - 4 ? [...deciding.slice(0, 4), ...deciding.slice(-4)] : deciding;
    for (const at of marked) [at - 1, at, at + 1].forEach((near) => keep.add(near));
    for (let at = 1; at < lines.length - 1; at++) if (!keep.has(at) && keep.has(at - 1) && keep.has(at + 1)) keep.add(at);
    return keep;
  }

  function kindOf(label, reporter) {
    if (reporter) return "icmp";
    if (/RST/.test(label)) return "reset";
    return /again|probe/.test(label) ? "again" : "";
  }

  function ladder(flow, folded, unfold) {
    const lines = flow.l;
    const keep = folded ? kept(lines) : null;
    const slope = flow.rtt ? Math.max(3, Math.min(14, 3 + 3 * Math.log10(flow.rtt / 100))) : 4;
    const total = lines[lines.length - 1][1] - lines[0][1];
    const calls = nextCalls(flow);
    const bands = [];
    const body = [];
    let y = 56;
    let skipped = 0;
    let before = null;
    const flush = () => {
      if (skipped) {
        body.push(drawn("g", { class: "fold", click: unfold }, label(MIDDLE, y + 4, `\u22EE ${skipped} more`, "middle")));
        y += STEP - 6;
        skipped = 0;
      }
    };
    lines.forEach((line, at) => {
      if (keep && !keep.has(at)) {
        skipped++;
        before = line;
        return;
      }
      flush();
      const pause = before ? line[1] - before[1] : 0;
      if (pause >= 1e6 || (pause > 0.3 * total && pause >= 5e4)) {
        body.push(drawn("text", { x: MIDDLE, y: y - 2, "text-anchor": "middle", class: "dim" }, `\u2504 ${seconds(pause)} later \u2504`));
        y += 28;
      }
      if (line[4]) bands.push(drawn("rect", { class: "band", x: 0, y: y - 19, width: WIDTH, height: STEP - 1, rx: 4 }));
      body.push(segment(line, y, slope));
      y += STEP;
      for (const [side, text] of calls.get(at) || []) {
        body.push(nextCall(side, text, y + 2));
        y += STEP;
      }
      before = line;
    });
    flush();
    const third = lines.some((line) => line[5]);
    const ends = [
      drawn("line", { class: "life", x1: LEFT, x2: LEFT, y1: 34, y2: y }),
      drawn("line", { class: "life", x1: RIGHT, x2: RIGHT, y1: 34, y2: y }),
      ...(third ? [drawn("line", { class: "third", x1: MIDDLE, x2: MIDDLE, y1: 34, y2: y })] : []),
      drawn("text", { x: 0, y: 22, class: "dim" }, "frame"),
      drawn("text", { x: LEFT - 16, y: 22, "text-anchor": "end", class: "dim" }, "s"),
      drawn("text", { x: LEFT, y: 22, class: "end" }, `client ${flow.c}`),
      drawn("text", { x: RIGHT, y: 22, "text-anchor": "end", class: "end" }, `server ${flow.s}`),
    ];
    const about = `Ladder of ${lines.length} segments between client ${flow.c} and server ${flow.s}; the same stands in the table of frames.`;
    return drawn("svg", { class: "ladder", viewBox: `0 0 ${WIDTH} ${y + 8}`, role: "img", "aria-label": about }, bands, ends, body);
  }

  function label(x, y, text, anchor) {
    return drawn("text", { x, y, "text-anchor": anchor, class: "label" }, text);
  }

  function segment([frame, at, side, text, decides, reporter], y, slope) {
    const from = reporter ? MIDDLE : side ? RIGHT : LEFT;
    const to = side ? LEFT : RIGHT;
    const sign = side ? -1 : 1;
    const below = y + slope;
    const near = to - sign * 9;
    const parts = [];
    parts.push(
      drawn("text", { x: 0, y: y + 4 }, `${decides ? "\u2217" : "\u00A0"}${frame}`),
      drawn("text", { x: LEFT - 16, y: y + 4, "text-anchor": "end" }, (at / 1e6).toFixed(3)),
      drawn("line", { class: "arrow", x1: from, y1: y, x2: near, y2: below }),
      drawn("path", { class: "head", d: `M ${to} ${below} l ${-sign * 11} -5 l 0 10 z` }),
      label((from + to) / 2, y + slope / 2 - 6, reporter ? `${pooled(text)} from ${reporter}` : pooled(text), "middle"),
    );
    const kind = kindOf(pooled(text), reporter);
    return drawn("g", { class: `${kind} ${decides ? "decides" : ""}`.trim() }, parts);
  }

  function nextCalls(flow) {
    const found = new Map();
    for (const verdict of flow.v) {
      const decides = Math.max(...verdict[3]);
      let at = flow.l.findIndex((line) => line[0] === decides);
      if (at < 0) at = flow.l.length - 1;
      found.set(at, [...(found.get(at) || []), [verdict[0], `${SIDES[verdict[0]]}'s ${pooled(verdict[8])}`]]);
    }
    return found;
  }

  function nextCall(side, text, y) {
    const width = 24 + text.length * 7.6;
    const x = side ? RIGHT - width + 10 : LEFT - 10;
    return drawn("g", {}, drawn("rect", { class: "next", x, y: y - 15, width, height: 23, rx: 5 }), drawn("text", { x: x + width / 2, y: y + 1, "text-anchor": "middle" }, text));
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
    const row = document.getElementById(`flow-${id}`);
    row.scrollIntoView();
    row.querySelector("button").focus({ preventScroll: true });
  }

  const theme = document.getElementById("theme");
  theme.hidden = false;
  theme.addEventListener("click", () => {
    const root = document.documentElement;
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
  });

  if (ids.length) {
    if (ids.length > 1) app.append(facetBox);
    app.append(make("div", { class: "tools" }, ...(ids.length > 1 ? [search, sorting, reset, status] : [])), list);
    if (ids.length === 1) openFlows.add(ids[0]);
    if (data.groups.length === 1) openGroups.add(data.groups[0]);
    show();
    addEventListener("hashchange", follow);
    follow();
  }
})();
