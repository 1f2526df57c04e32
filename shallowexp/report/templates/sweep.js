// The table of runs: a click on a heading sorts by it, and the field filters by words in any order.
const table = document.querySelector("#runs table"), body = table.tBodies[0], rows = [...body.rows];
const field = document.querySelector("#filter"), told = document.querySelector("#told");
const value = (row, i) => {
  const text = row.cells[i].textContent.replace("\u2212", "-").trim(), number = Number(text);
  return text && !Number.isNaN(number) ? number : text;
};
const compare = (a, b) => typeof a === typeof b ? (a > b) - (a < b) : typeof a === "number" ? -1 : 1;

table.tHead.addEventListener("click", event => {
  const heading = event.target.closest("th");
  if (!heading) return;
  const rising = heading.getAttribute("aria-sort") !== "ascending";
  for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", rising ? "ascending" : "descending");
  rows.sort((a, b) => compare(value(a, heading.cellIndex), value(b, heading.cellIndex)) * (rising ? 1 : -1));
  body.append(...rows);
});

field.addEventListener("input", () => {
  const words = field.value.toLowerCase().split(/\s+/);
  for (const row of rows) row.hidden = !words.every(word => row.textContent.toLowerCase().includes(word));
  told.textContent = `${rows.filter(row => !row.hidden).length} of ${rows.length} rows`;
});
document.querySelector("#filtering").hidden = false;
