"use strict";
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  // Plots: the specs carry data, the page's own variables carry the colours.
  const specs = JSON.parse(document.getElementById("specs").textContent);
  const tip = document.createElement("div");
  tip.id = "tip";
  document.body.append(tip);

  const showTip = (_, event, item, value) => {
    const empty = value === null || value === undefined || value === "";
    tip.style.display = empty ? "none" : "block";
    if (empty) return;
    tip.textContent = Object.entries(value).map(([key, text]) => `${key}: ${text}`).join("\n");
    tip.style.left = `${Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8)}px`;
    tip.style.top = `${Math.min(event.clientY + 14, innerHeight - tip.offsetHeight - 8)}px`;
  };

  const theme = () => {
    const [ink, soft, line] = ["--ink", "--soft", "--line"].map(colour);
    const font = getComputedStyle(document.body).fontFamily;
    return {
      background: null, font, view: { stroke: null },
      axis: { labelColor: soft, titleColor: soft, gridColor: line, domainColor: line, tickColor: line, labelFontSize: 12, titleFontSize: 12, titleFontWeight: 500, titlePadding: 10, labelLimit: 260 },
      legend: { labelColor: ink, titleColor: soft, labelFontSize: 12, titleFontSize: 12, titleFontWeight: 500, orient: "top", symbolOpacity: 1, symbolStrokeWidth: 0 },
      text: { color: ink, font, fontSize: 12 }, rule: { color: soft },
      range: { category: [1, 2, 3, 4, 5, 6, 7, 8].map((i) => colour(`--c${i}`)), heatmap: [0, 1, 2].map((i) => colour(`--heat${i}`)), ordinal: [colour("--faint-ink"), "#ffffff"] },
    };
  };

  const draw = (id) => {
    const select = document.querySelector(`select[data-plot="${id}"]`);
    const spec = specs[id][select ? select.value : Object.keys(specs[id])[0]];
    // `ast` evaluates Vega's expressions without eval, which the page's policy forbids.
    return vegaEmbed(`#plot-${id}`, structuredClone(spec), {
      mode: "vega-lite", renderer: "svg", actions: false, ast: true, defaultStyle: false, tooltip: showTip, config: theme(),
    });
  };
  const drawAll = () => Promise.all(Object.keys(specs).map(draw));
  all("select[data-plot]").forEach((select) => select.addEventListener("change", () => draw(select.dataset.plot)));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
  drawAll().then(() => document.documentElement.setAttribute("data-drawn", "true"));

  // Tables sort by the value behind a cell; what has none stays last.
  const sortBy = (table, header) => {
    const place = [...header.parentNode.children].indexOf(header);
    const descending = header.getAttribute("aria-sort") === "ascending";
    all("thead th", table).forEach((other) => other.removeAttribute("aria-sort"));
    header.setAttribute("aria-sort", descending ? "descending" : "ascending");
    const key = (row) => {
      const cell = row.children[place];
      return cell.tagName === "TH" ? cell.textContent.trim() : cell.dataset.sort === undefined ? null : Number(cell.dataset.sort);
    };
    const compare = (a, b) => (typeof a === "string" ? a.localeCompare(b, "en", { numeric: true }) : a - b) * (descending ? -1 : 1);
    const rows = all("tbody tr", table).map((row) => [key(row), row]);
    rows.sort(([a], [b]) => (a === null) - (b === null) || (a === null ? 0 : compare(a, b)));
    rows.forEach(([, row]) => row.parentNode.append(row));
  };
  all("table.sortable th button").forEach((button) =>
    button.addEventListener("click", () => sortBy(button.closest("table"), button.closest("th"))));

  // Groups of columns can be put away; the least telling one starts so when there are many.
  const results = document.getElementById("results");
  const groups = [...new Set(all("thead .groups th[data-group]", results).map((head) => head.dataset.group))];
  const shown = new Set(groups.filter((group) => groups.length < 4 || group !== "Signal"));
  const arrange = () => all("[data-group]", results).forEach((cell) => { cell.hidden = !shown.has(cell.dataset.group); });
  for (const group of groups) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = group;
    button.setAttribute("aria-pressed", shown.has(group));
    button.addEventListener("click", () => {
      shown.has(group) ? shown.delete(group) : shown.add(group);
      button.setAttribute("aria-pressed", shown.has(group));
      arrange();
    });
    document.getElementById("groups").append(button);
  }
  arrange();

  // Players: one sounds at a time, the head moves over its picture.
  const sounds = all("audio");
  const stop = (except) => sounds.forEach((sound) => { if (sound !== except) { sound.pause(); sound.currentTime = 0; } });
  for (const sound of sounds) {
    sound.controls = false;
    const button = sound.previousElementSibling;
    const head = button.querySelector(".head");
    const follow = () => {
      head.style.left = `${(100 * sound.currentTime) / (sound.duration || 1)}%`;
      if (!sound.paused) requestAnimationFrame(follow);
    };
    sound.addEventListener("play", () => { stop(sound); button.setAttribute("aria-pressed", "true"); follow(); });
    sound.addEventListener("pause", () => button.setAttribute("aria-pressed", "false"));
    button.addEventListener("click", (event) => {
      const pointed = event.detail > 0;
      if (!sound.paused && !pointed) return sound.pause();
      const box = button.getBoundingClientRect();
      const from = pointed ? (event.clientX - box.left) / box.width : 0;
      const onSymbol = pointed && event.clientX - box.left < 36 && box.bottom - event.clientY < 36;
      if (!sound.paused && onSymbol) return sound.pause();
      const start = () => { sound.currentTime = onSymbol ? 0 : from * sound.duration; };
      sound.readyState ? start() : sound.addEventListener("loadedmetadata", start, { once: true });
      sound.play();
    });
    button.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (event.key === "Escape") stop();
      if (!step) return;
      event.preventDefault();
      const row = all(".player", button.closest(".clips"));
      const next = row[row.indexOf(button) + step];
      if (next) next.focus();
    });
  }

  const filter = document.getElementById("filter");
  if (filter) filter.addEventListener("input", () => {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    all(".prompt").forEach((prompt) => { prompt.hidden = !words.every((word) => prompt.dataset.text.includes(word)); });
  });
})();
