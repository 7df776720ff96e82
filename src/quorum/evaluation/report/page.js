"use strict";
// Text of questions is inserted as textContent only, so that none of it is parsed as markup.

function element(tag, text = "", attributes = {}) {
  const node = document.createElement(tag);
  node.textContent = text;
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  return node;
}

// ---- sort tables by a click on a heading -----------------------------------------------------------------------

function sortKey(row, column) {
  const cell = row.cells[column];
  const key = cell.dataset.value ?? cell.textContent.trim();
  return key === "" ? null : isNaN(key) ? key : Number(key);
}

function compareKeys(one, other) {
  if (typeof one === "number" && typeof other === "number") return one - other;
  return String(one).localeCompare(String(other), undefined, { numeric: true });
}

function sortBy(table, column, ascending) {
  const keyed = [...table.tBodies[0].rows].map((row) => [sortKey(row, column), row]);
  const empty = keyed.filter(([key]) => key === null); // unknown values come last in both directions
  const known = keyed.filter(([key]) => key !== null);
  known.sort(([one], [other]) => (ascending ? compareKeys(one, other) : compareKeys(other, one)));
  table.tBodies[0].append(...[...known, ...empty].map(([, row]) => row));
  [...table.tHead.rows[0].cells].forEach((heading, number) => {
    if (number === column) heading.setAttribute("aria-sort", ascending ? "ascending" : "descending");
    else heading.removeAttribute("aria-sort");
  });
}

for (const table of document.querySelectorAll("table.sortable")) {
  [...table.tHead.rows[0].cells].forEach((heading, column) => {
    const button = element("button", heading.textContent.trim(), { type: "button" });
    button.addEventListener("click", () => sortBy(table, column, heading.getAttribute("aria-sort") !== "ascending"));
    heading.replaceChildren(button);
  });
}

// ---- filter the questions and show them page by page -----------------------------------------------------------

const PAGE = 25;
const byId = (id) => document.getElementById(id);
const right = (one, run) => one.sent[run] === one.gold;

function readData() {
  const data = JSON.parse(byId("questions-data").textContent);
  data.questions = data.questions.map(([id, subject, context, text, choices, gold, sent, read], number) => {
    const haystack = [id, text, ...choices].join("\n").toLowerCase();
    return { number, id, subject, context, text, choices, gold, sent, read, haystack };
  });
  return data;
}

function answerCell(one, run) {
  const kind = !one.read[run] ? "filled" : right(one, run) ? "right" : "wrong";
  const cell = element("td", one.sent[run] || "–", { class: kind });
  cell.append(element("span", ` ${kind}`, { class: "for-readers" }));
  return cell;
}

function wordsCell(data, one) {
  const cell = element("td", "", { class: "words" });
  cell.append(element("bdi", one.text, { class: "text", dir: "auto" }));
  if (one.number < data.views.count) cell.append(openButton(data, one.number));
  if (one.choices.length === 0 && one.context === "") return cell;
  const more = element("details"), list = element("ul", "", { class: "choices" });
  more.append(element("summary", one.context ? "passage and choices" : "choices"));
  if (one.context) more.append(element("bdi", one.context, { class: "text quiet", dir: "auto" }));
  one.choices.forEach((text, number) => {
    const label = String.fromCharCode(65 + number), item = element("li");
    item.append(element("span", label, { class: label === one.gold ? "label right" : "label" }));
    item.append(element("bdi", text, { dir: "auto" }));
    list.append(item);
  });
  more.append(list);
  cell.append(more);
  return cell;
}

function questionHeading(data, one) {
  const heading = element("th", "", { scope: "row" });
  heading.append(element("bdi", one.id));
  if (one.subject >= 0) heading.append(element("br"), element("span", data.subjects[one.subject], { class: "quiet" }));
  return heading;
}

// Returns the function that shows a list in `body`, PAGE rows at a time.
function pager({ body, status, earlier, later, row, nothing }) {
  let found = [], first = 0;
  function show(from) {
    first = from;
    body.replaceChildren(...found.slice(first, first + PAGE).map(row));
    const last = Math.min(first + PAGE, found.length);
    status.textContent = found.length === 0 ? nothing : `${first + 1}–${last} of ${found.length} questions`;
    earlier.disabled = first === 0;
    later.disabled = last === found.length;
    noteScrolling();
  }
  earlier.addEventListener("click", () => show(Math.max(0, first - PAGE)));
  later.addEventListener("click", () => show(first + PAGE));
  return (list) => { found = list; show(0); };
}

function explore(data) {
  const questions = data.questions;
  const field = (name) => byId(`filter-${name}`);

  data.subjects.forEach((name, number) => field("subject").append(element("option", name, { value: number })));
  data.runs.forEach((name, run) => field("answers").append(element("option", `${name} is wrong`, { value: run })));
  if (data.subjects.length === 0) field("subject").closest("label").hidden = true;

  const own = (one) => one.sent.filter((_, run) => one.read[run]);
  const kinds = {
    all: () => true,
    none: (one) => !own(one).includes(one.gold),
    differ: (one) => new Set(own(one)).size > 1,
    unread: (one) => one.read.includes(0) && one.read.includes(1),
  };
  const hits = (one) => own(one).filter((label) => label === one.gold).length;
  for (let count = 0; count <= data.runs.length; count++) {
    kinds[`hits-${count}`] = (one) => hits(one) === count;
    field("answers").append(element("option", `right in ${count} runs`, { value: `hits-${count}` }));
  }
  function row(one) {
    const node = element("tr");
    node.append(questionHeading(data, one), wordsCell(data, one), element("td", one.gold));
    one.sent.forEach((_, run) => node.append(answerCell(one, run)));
    return node;
  }
  const show = pager({
    body: byId("questions-body"), status: byId("questions-status"), earlier: byId("earlier"), later: byId("later"),
    row, nothing: "No question matches.",
  });

  function search() {
    const words = field("words").value.toLowerCase().split(/\s+/).filter(Boolean);
    const subject = field("subject").value, kind = field("answers").value;
    const matches = kinds[kind] ?? ((one) => !right(one, Number(kind)));
    show(questions.filter((one) =>
      (subject === "" || one.subject === Number(subject)) && matches(one) && words.every((word) => one.haystack.includes(word))));
  }

  for (const name of ["subject", "answers"]) field(name).addEventListener("change", search);
  field("words").addEventListener("input", search);
  document.querySelector("form.filter").addEventListener("submit", (event) => event.preventDefault());
  search();
  byId("explorer").hidden = false;
}

// ---- compare two runs ------------------------------------------------------------------------------------------

function compareTwo(data) {
  const [one, other, kind] = ["one", "other", "kind"].map((name) => byId(`versus-${name}`));
  data.runs.forEach((name, run) => {
    one.append(element("option", name, { value: run }));
    other.append(element("option", name, { value: run }));
  });
  other.value = String(Math.min(1, data.runs.length - 1));
  const runs = () => [Number(one.value), Number(other.value)];
  const kinds = {
    differ: (q, a, b) => q.sent[a] !== q.sent[b],
    gained: (q, a, b) => !right(q, a) && right(q, b),
    lost: (q, a, b) => right(q, a) && !right(q, b),
  };
  const show = pager({
    body: byId("versus-body"), status: byId("versus-page"), earlier: byId("versus-earlier"), later: byId("versus-later"),
    nothing: "No such question.",
    row: (q) => {
      const node = element("tr");
      node.append(questionHeading(data, q), wordsCell(data, q), element("td", q.gold), ...runs().map((run) => answerCell(q, run)));
      return node;
    },
  });

  function refresh() {
    const [a, b] = runs(), all = data.questions;
    const lost = all.filter((q) => kinds.lost(q, a, b)).length, gained = all.filter((q) => kinds.gained(q, a, b)).length;
    const both = all.filter((q) => right(q, a) && right(q, b)).length, differ = all.filter((q) => kinds.differ(q, a, b)).length;
    byId("versus-status").textContent = `Of ${all.length} questions the two answer ${differ} differently: only ${data.runs[a]} is right on `
      + `${lost}, only ${data.runs[b]} on ${gained}, and neither on ${differ - lost - gained}. Both are right on ${both}.`;
    for (const id of ["versus-table", "versus-subjects"]) {
      const cells = byId(id)?.tHead.rows[0].cells ?? [], at = id === "versus-table" ? 3 : 2;
      [a, b].forEach((run, place) => cells[at + place] && setHeading(cells[at + place], data.runs[run]));
    }
    show(all.filter((q) => kinds[kind.value](q, a, b)));
    showSubjects(data, a, b);
    const chosen = [...new Set([a, b])];
    byId("confusion").replaceChildren(...chosen.map((run) => confusionTable(data, run)));
    noteScrolling();
  }

  for (const select of [one, other, kind]) select.addEventListener("change", refresh);
  byId("versus").hidden = false;
  refresh();
}

function setHeading(cell, text) {
  (cell.querySelector("button") ?? cell).replaceChildren(element("bdi", text));
}

function showSubjects(data, a, b) {
  const body = byId("versus-subjects-body");
  if (!body) return;
  const groups = data.subjects.map((name, number) => [name, data.questions.filter((q) => q.subject === number)]);
  groups.push(["(no subject)", data.questions.filter((q) => q.subject < 0)]);
  body.replaceChildren(...groups.filter(([, own]) => own.length > 0).map(([name, own]) => {
    const n = own.length, gains = own.map((q) => right(q, a) - right(q, b)), mean = gains.reduce((x, y) => x + y, 0) / n;
    const error = n > 1 ? Math.sqrt(gains.reduce((sum, gain) => sum + (gain - mean) ** 2, 0) / (n - 1) / n) : null;
    const share = (run) => (own.filter((q) => right(q, run)).length / n).toFixed(3);
    const node = element("tr"), heading = element("th", "", { scope: "row" });
    heading.append(element("bdi", name));
    const signed = `${mean < 0 ? "\u2212" : "+"}${Math.abs(mean).toFixed(3)} ± ${error === null ? "?" : error.toFixed(3)}`;
    const cells = [n, share(a), share(b)].map((text) => element("td", text));
    node.append(heading, ...cells, element("td", signed, { "data-value": mean }));
    node.append(...[1, -1].map((sign) => element("td", gains.filter((gain) => gain === sign).length)));
    return node;
  }));
}

function confusionTable(data, run) {
  const asked = data.questions.filter((q) => q.choices.length > 0);
  const labels = [...new Set(asked.flatMap((q) => [q.gold, q.sent[run]]))].filter(Boolean).sort();
  const scroll = element("div", "", { class: "scroll", role: "region", tabindex: "0", "aria-label": `Confusion of ${data.runs[run]}` });
  const table = element("table", "", { class: "confusion" }), caption = element("caption"), head = element("thead"), body = element("tbody");
  const words = element("span");
  words.append(element("bdi", data.runs[run]), ": rows are the right letter, columns the answer; shade is the share of the row.");
  caption.append(words);
  const top = element("tr");
  top.append(...["Right", ...labels, "n"].map((text) => element("th", text, { scope: "col" })));
  head.append(top);
  for (const gold of labels) {
    const own = asked.filter((q) => q.gold === gold), row = element("tr");
    row.append(element("th", gold, { scope: "row" }));
    for (const label of labels) {
      const count = own.filter((q) => q.sent[run] === label).length;
      const cell = element("td", count || "·", { class: label === gold ? "diagonal" : "" });
      const share = own.length ? count / own.length : 0;
      cell.style.backgroundColor = `color-mix(in srgb, var(--accent) ${Math.round(45 * share)}%, transparent)`;
      cell.title = `right ${gold}, answered ${label}: ${count} of ${own.length} (${(100 * share).toFixed(0)} %)`;
      row.append(cell);
    }
    row.append(element("td", own.length, { class: "quiet" }));
    body.append(row);
  }
  table.append(caption, head, body);
  scroll.append(table);
  return scroll;
}

// ---- open a question as the models saw it ----------------------------------------------------------------------

const unpacked = new Map(); // promises of blocks of views

async function unpack(text) {
  const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(stream).text());
}

function openButton(data, number) {
  const button = element("button", "as the models saw it", { type: "button", class: "open" });
  button.addEventListener("click", () => openView(data, number));
  return button;
}

async function openView(data, number, wanted = null) {
  const { size, blocks } = data.views, place = Math.floor(number / size);
  if (!unpacked.has(place)) unpacked.set(place, unpack(blocks[place]));
  const block = await unpacked.get(place), select = byId("view-run"), question = data.questions[number];
  const runs = Object.keys(block).filter((run) => block[run][number]);
  byId("view-heading").replaceChildren(element("bdi", question.id));
  select.replaceChildren(...runs.map((run) => element("option", data.runs[run], { value: run })));
  select.value = runs.includes(wanted) ? wanted : runs[0] ?? "";
  select.onchange = () => showView(block[select.value]?.[number] ?? [], question);
  select.onchange();
  if (!byId("view").open) byId("view").showModal();
}

function showView(parts, question) {
  const body = byId("view-body");
  body.replaceChildren(element("p", `Right answer: ${question.gold}`, { class: "quiet" }));
  if (parts.length === 0) body.append(element("p", "This run has no answer on disk."));
  for (const [title, note, text] of parts) {
    body.append(element("h3", title));
    if (note) body.append(element("p", note, { class: "quiet" }));
    if (text) body.append(element("pre", text, { class: "text", dir: "auto" }));
  }
  byId("view").scrollTop = 0;
}

// ---- charts: a tip on hover, the row of the table on a click ----------------------------------------------------

const tip = byId("tip");

function showTip(spot) {
  const box = spot.getBoundingClientRect();
  tip.textContent = spot.dataset.tip;
  tip.hidden = false;
  const left = Math.min(Math.max(8, box.left + box.width / 2 - tip.offsetWidth / 2), innerWidth - tip.offsetWidth - 8);
  tip.style.left = `${left}px`;
  tip.style.top = `${box.top > tip.offsetHeight + 12 ? box.top - tip.offsetHeight - 6 : box.bottom + 6}px`;
}

function follow(spot) {
  const figure = spot.closest("svg").getAttribute("aria-labelledby");
  const answers = byId("filter-answers");
  if (figure === "hits-title" && answers) {
    answers.value = `hits-${spot.dataset.name}`;
    answers.dispatchEvent(new Event("change"));
    byId("all-questions").scrollIntoView();
    return;
  }
  const headings = [...spot.closest("section").querySelectorAll("tbody th[scope=row]")];
  const row = headings.find((heading) => (heading.querySelector("bdi") ?? heading).textContent.trim() === spot.dataset.name)?.parentElement;
  document.querySelectorAll("tr.marked").forEach((marked) => marked.classList.remove("marked"));
  if (!row) return;
  row.classList.add("marked");
  row.scrollIntoView({ block: "center" });
}

for (const spot of document.querySelectorAll("rect.spot")) {
  spot.addEventListener("pointerenter", () => showTip(spot));
  spot.addEventListener("pointerleave", () => { tip.hidden = true; });
  spot.addEventListener("click", () => { follow(spot); if (matchMedia("(hover: none)").matches) showTip(spot); });
}
addEventListener("scroll", () => { tip.hidden = true; }, { passive: true });

// ---- say where a table continues -------------------------------------------------------------------------------

function noteScrolling() {
  for (const area of document.querySelectorAll(".scroll")) {
    area.classList.toggle("wide", area.scrollWidth > area.clientWidth + 1);
    area.classList.toggle("end", area.scrollLeft + area.clientWidth >= area.scrollWidth - 2);
    area.onscroll = () => area.classList.toggle("end", area.scrollLeft + area.clientWidth >= area.scrollWidth - 2);
  }
}

addEventListener("resize", noteScrolling);

if (byId("explorer")) {
  const data = readData();
  explore(data);
  compareTwo(data);
  for (const button of document.querySelectorAll("button.open[data-question]")) {
    button.addEventListener("click", () => openView(data, Number(button.dataset.question)));
    button.hidden = false;
  }
  const named = /^#question-(\d+)$/.exec(location.hash); // a link to the view of the n-th hardest question
  if (named && named[1] >= 1 && named[1] <= data.views.count) openView(data, named[1] - 1);
}
noteScrolling();
