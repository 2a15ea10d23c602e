// Sort and filter the table of verdicts; without this script the table is whole and in order.
"use strict";
(() => {
  const table = document.getElementById("verdicts");
  const body = table.tBodies[0], rows = [...body.rows], heads = [...table.tHead.rows[0].cells];
  const form = document.getElementById("filters"), count = document.getElementById("count");
  const fields = ["text", "rung", "status", "part"];
  form.hidden = false;

  const value = (row, k) => row.cells[k].dataset.sort ?? row.cells[k].textContent.trim();

  function compare(a, b, k) {
    const x = value(a, k), y = value(b, k), p = parseFloat(x), q = parseFloat(y);
    if (heads[k].dataset.kind !== "number") return x.localeCompare(y, "en", { numeric: true });
    if (isNaN(p) || isNaN(q)) return isNaN(p) - isNaN(q);
    return p - q;
  }

  function order(k, direction) {
    heads.forEach((head, i) => head.setAttribute("aria-sort", i === k ? direction : "none"));
    const sign = direction === "descending" ? -1 : 1;
    const missing = (row) => heads[k].dataset.kind === "number" && isNaN(parseFloat(value(row, k)));
    const sorted = [...rows].sort((a, b) =>
      missing(a) || missing(b) ? missing(a) - missing(b) : sign * compare(a, b, k));
    body.append(...sorted);
  }

  function filter() {
    const wanted = Object.fromEntries(fields.map((name) => [name, form.elements[name].value.trim()]));
    const words = wanted.text.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !["rung", "status", "part"].every((name) => !wanted[name] || row.dataset[name] === wanted[name])
        || !words.every((word) => text.includes(word));
      shown += !row.hidden;
    }
    count.textContent = `${shown} of ${rows.length} verdicts`;
  }

  function remember() {
    const state = new URLSearchParams();
    for (const name of fields) if (form.elements[name].value) state.set(name, form.elements[name].value);
    const k = heads.findIndex((head) => head.getAttribute("aria-sort") !== "none");
    if (k >= 0) state.set("sort", `${k} ${heads[k].getAttribute("aria-sort")}`);
    history.replaceState(null, "", state.size ? `#?${state}` : location.pathname + location.search);
  }

  function recall() {
    if (!location.hash.startsWith("#?")) return;
    const state = new URLSearchParams(location.hash.slice(2));
    for (const name of fields) if (state.has(name)) form.elements[name].value = state.get(name);
    const [k, direction] = (state.get("sort") ?? "").split(" ");
    if (heads[+k] && ["ascending", "descending"].includes(direction)) order(+k, direction);
  }

  heads.forEach((head, k) => head.querySelector("button").addEventListener("click", () => {
    order(k, head.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending");
    remember();
  }));
  form.addEventListener("input", () => { filter(); remember(); });
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(() => { filter(); remember(); }));
  recall();
  filter();
})();
