// Sort and filter every table of class "sortable"; without this script each is whole and in order.
"use strict";
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0], rows = [...body.rows], heads = [...table.tHead.rows[0].cells];
  const value = (row, k) => row.cells[k].textContent.trim().replace("−", "-");

  function order(k, sign) {
    heads.forEach((head, i) => head.setAttribute("aria-sort", i !== k ? "none" : sign > 0 ? "ascending" : "descending"));
    const key = (row) => parseFloat(value(row, k));
    const numbers = rows.some((row) => !isNaN(key(row)));
    body.append(...[...rows].sort((a, b) => {
      if (!numbers) return sign * value(a, k).localeCompare(value(b, k), "en", { numeric: true });
      return isNaN(key(a)) || isNaN(key(b)) ? isNaN(key(a)) - isNaN(key(b)) : sign * (key(a) - key(b));
    }));
  }

  heads.forEach((head, k) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    head.setAttribute("aria-sort", "none");
    button.addEventListener("click", () => order(k, head.getAttribute("aria-sort") === "ascending" ? -1 : 1));
  });

  if (rows.length < 6) continue;
  const label = document.createElement("label"), field = document.createElement("input");
  field.type = "search";
  label.className = "filter";
  label.append("Show rows with ", field);
  (table.closest("[role=region]") ?? table).before(label);
  field.addEventListener("input", () => {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const row of rows) row.hidden = !words.every((word) => row.textContent.toLowerCase().includes(word));
  });
}
