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
const explorer = document.getElementById("explorer");

function explore() {
  const data = JSON.parse(document.getElementById("questions-data").textContent);
  const questions = data.questions.map(([id, subject, context, text, choices, gold, sent, read]) => {
    const haystack = [id, text, ...choices].join("\n").toLowerCase();
    return { id, subject, context, text, choices, gold, sent, read, haystack };
  });
  const field = (name) => document.getElementById(`filter-${name}`);
  const body = document.getElementById("questions-body");
  let found = questions, first = 0;

  data.subjects.forEach((name, number) => field("subject").append(element("option", name, { value: number })));
  data.runs.forEach((name, run) => field("answers").append(element("option", `${name} is wrong`, { value: run })));
  if (data.subjects.length === 0) field("subject").closest("label").hidden = true;

  const right = (one, run) => one.sent[run] === one.gold;
  const own = (one) => one.sent.filter((_, run) => one.read[run]);
  const kinds = {
    all: () => true,
    none: (one) => !own(one).includes(one.gold),
    differ: (one) => new Set(own(one)).size > 1,
    unread: (one) => one.read.includes(0) && one.read.includes(1),
  };

  function search() {
    const words = field("words").value.toLowerCase().split(/\s+/).filter(Boolean);
    const subject = field("subject").value, kind = field("answers").value;
    const matches = kinds[kind] ?? ((one) => !right(one, Number(kind)));
    found = questions.filter((one) =>
      (subject === "" || one.subject === Number(subject)) && matches(one) && words.every((word) => one.haystack.includes(word)));
    show(0);
  }

  function answerCell(one, run) {
    const kind = !one.read[run] ? "filled" : right(one, run) ? "right" : "wrong";
    const cell = element("td", one.sent[run] || "–", { class: kind });
    cell.append(element("span", ` ${kind}`, { class: "for-readers" }));
    return cell;
  }

  function wordsCell(one) {
    const cell = element("td", "", { class: "words" });
    cell.append(element("bdi", one.text, { class: "text", dir: "auto" }));
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

  function row(one) {
    const node = element("tr"), heading = element("th", "", { scope: "row" });
    heading.append(element("bdi", one.id));
    if (one.subject >= 0) heading.append(element("br"), element("span", data.subjects[one.subject], { class: "quiet" }));
    node.append(heading, wordsCell(one), element("td", one.gold));
    one.sent.forEach((_, run) => node.append(answerCell(one, run)));
    return node;
  }

  function show(from) {
    first = from;
    body.replaceChildren(...found.slice(first, first + PAGE).map(row));
    const last = Math.min(first + PAGE, found.length);
    document.getElementById("questions-status").textContent = found.length === 0
      ? "No question matches."
      : `${first + 1}–${last} of ${found.length} questions`;
    document.getElementById("earlier").disabled = first === 0;
    document.getElementById("later").disabled = last === found.length;
  }

  for (const name of ["subject", "answers"]) field(name).addEventListener("change", search);
  field("words").addEventListener("input", search);
  document.querySelector("form.filter").addEventListener("submit", (event) => event.preventDefault());
  document.getElementById("earlier").addEventListener("click", () => show(Math.max(0, first - PAGE)));
  document.getElementById("later").addEventListener("click", () => show(first + PAGE));
  search();
  explorer.hidden = false;
}

if (explorer) explore();
