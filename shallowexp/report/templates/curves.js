// The curves of a drawn figure: the pointer finds the nearest one and its numbers, buttons switch curves off by their name.
for (const data of document.querySelectorAll("script.curves")) {
  const figure = data.closest("figure"), plate = figure.querySelector(".plate"), svg = plate.querySelector("svg");
  const curves = JSON.parse(data.textContent).map(curve => {
    const line = document.getElementById(curve.id), path = line.querySelector(":scope > path, use");
    const numbers = [...line.querySelectorAll(":scope > path[d]")].flatMap(path => path.getAttribute("d").match(/-?[\d.]+/g).map(Number));
    const vertices = numbers.flatMap((x, i) => i % 2 ? [] : [[x, numbers[i + 1]]]);
    for (const marker of line.querySelectorAll("use")) vertices.push([marker.x, marker.y].map(length => length.baseVal.value));
    const band = document.getElementById(curve.id.replace("-curve|", "-band|"));
    return {...curve, line, band, vertices, color: getComputedStyle(path).stroke};
  });
  const words = value => String(Number(value.toPrecision(4))).replace("-", "\u2212");

  const tip = document.createElement("p");
  tip.className = "tip small";
  tip.hidden = true;
  tip.setAttribute("aria-hidden", "true");
  plate.append(tip);
  const rest = () => { tip.hidden = true; for (const {line} of curves) line.classList.remove("near"); };
  svg.addEventListener("pointermove", event => {
    const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
    let found = {distance: 14};
    for (const curve of curves.filter(curve => !curve.off)) {
      curve.vertices.forEach(([x, y], i) => {
        const distance = Math.hypot(x - at.x, y - at.y);
        if (distance < found.distance) found = {distance, curve, i};
      });
    }
    rest();
    if (!found.curve) return;
    const {label, line, x, points, vertices} = found.curve, box = plate.getBoundingClientRect();
    line.classList.add("near");
    tip.textContent = label;
    if (points.length === vertices.length) {
      const [place, median, low, high] = points[found.i];
      tip.textContent += `, ${x} ${words(place)}: ${words(median)}`;
      if (low !== high) tip.textContent += ` (8 of 10 runs: ${words(low)} to ${words(high)})`;
    }
    tip.hidden = false;
    const left = Math.min(event.clientX - box.left + 14, box.width - tip.offsetWidth - 4);
    tip.style.left = `${Math.max(4, left) + plate.scrollLeft}px`;
    tip.style.top = `${event.clientY - box.top + 16}px`;
  });
  svg.addEventListener("pointerleave", rest);

  const labels = [...new Set(curves.map(curve => curve.label))];
  if (labels.length < 2) continue;
  const cells = document.createElement("p");
  cells.className = "cells small";
  cells.setAttribute("role", "group");
  cells.setAttribute("aria-label", "Curves that are shown");
  for (const label of labels) {
    const mine = curves.filter(curve => curve.label === label), button = document.createElement("button");
    button.type = "button";
    button.textContent = label;
    button.style.borderLeftColor = mine[0].color;
    button.setAttribute("aria-pressed", "true");
    button.addEventListener("click", () => {
      const off = button.getAttribute("aria-pressed") === "true";
      button.setAttribute("aria-pressed", String(!off));
      for (const curve of mine) {
        curve.off = off;
        for (const part of [curve.line, curve.band]) part?.classList.toggle("off", off);
      }
    });
    cells.append(button);
  }
  plate.after(cells);
}
