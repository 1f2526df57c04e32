// A field's picture: the pointer, or the arrow keys, find a pixel, its numbers and its run's command; a click keeps it.
for (const data of document.querySelectorAll("script.field")) {
  const figure = data.closest("figure"), panel = figure.querySelector(".panel"), mark = panel.querySelector("i");
  const numbers = figure.querySelector(".pixel"), command = figure.querySelector("pre code"), copy = figure.querySelector("button");
  const field = JSON.parse(data.textContent), {x, y, stride, measures} = field, columns = x.words.length, rows = y.words.length;
  const [left, top, width, height] = field.panel.map(part => `${100 * part}%`);
  Object.assign(panel.style, {left, top, width, height});
  const packed = Uint8Array.from(atob(field.values), letter => letter.charCodeAt(0));
  const unpacked = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  const ready = new Response(unpacked).arrayBuffer().then(buffer => new Float32Array(buffer));
  const words = value => Number.isFinite(Number(value)) ? String(Number(Number(value).toPrecision(4))).replace("-", "\u2212") : value < 0 ? "<\u22123e38" : ">3e38";

  let at = [columns >> 1, rows >> 1], kept = false;
  const show = async (column, row) => {
    at = [column, row];
    const values = await ready;
    if (at[0] !== column || at[1] !== row) return;
    const found = measures.map((name, i) => [name, values[(i * rows + row) * columns + column]]).filter(([, value]) => !Number.isNaN(value));
    numbers.textContent = [[x.key, x.words[column]], [y.key, y.words[row]], ...found].map(([name, value]) => `${name} ${words(value)}`).join(" · ");
    command.textContent = `${field.command} ${x.override}${x.words[column]} ${y.override}${y.words[row]}`;
    copy.hidden = false;
    mark.hidden = false;
    mark.style.left = `${100 * (column * stride + 0.5) / x.count}%`;
    mark.style.bottom = `${100 * (row * stride + 0.5) / y.count}%`;
  };
  const under = event => {
    const box = panel.getBoundingClientRect();
    const part = (length, size, n) => Math.min(n - 1, Math.max(0, Math.floor(length / size / stride)));
    return [part((event.clientX - box.left) * x.count, box.width, columns), part((box.bottom - event.clientY) * y.count, box.height, rows)];
  };
  panel.addEventListener("pointermove", event => { if (!kept) show(...under(event)); });
  panel.addEventListener("click", event => { kept = !kept; show(...under(event)); });
  panel.addEventListener("keydown", event => {
    const [right, up] = {ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1]}[event.key] ?? [0, 0];
    if (!right && !up) return;
    event.preventDefault();
    kept = true;
    show(Math.min(columns - 1, Math.max(0, at[0] + right)), Math.min(rows - 1, Math.max(0, at[1] + up)));
  });
  copy.addEventListener("click", async () => {
    try { await navigator.clipboard.writeText(command.textContent); copy.textContent = "Copied"; }
    catch { getSelection().selectAllChildren(command); copy.textContent = "Marked: copy it with Ctrl+C"; }
    setTimeout(() => { copy.textContent = "Copy"; }, 2000);
  });
}
