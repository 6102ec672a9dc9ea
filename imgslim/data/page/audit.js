"use strict";

(async () => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const VERDICTS = ["needed", "removable", "undecided", "hidden"];
  // Tiles at a time: what an eye can tell apart, and a browser draws at once.
  const MOST_TILES = 200;
  const DEEPEST = 5;
  // Pixels: a frame with tiles in it, and the least tile.
  const FRAME_AREA = 4200;
  const TILE_AREA = 400;
  const LEAST_FRAME = 40;
  const FRAMES = ["var(--frame)", "var(--line)"];
  const MOST_RESULTS = 40;

  const byId = (id) => document.getElementById(id);
  const box = byId("map");

  function element(name, text, fields = {}) {
    const made = Object.assign(document.createElement(name), fields);
    made.textContent = text;
    return made;
  }

  // As docker prints sizes: decimal, one digit.
  function sizeText(bytes) {
    const units = ["B", "kB", "MB", "GB", "TB"];
    let unit = 0;
    let size = bytes;
    while (unit < units.length - 1 && size >= (unit ? 999.95 : 1000)) {
      size /= 1000;
      unit += 1;
    }
    return unit ? `${size.toFixed(1)} ${units[unit]}` : `${bytes} B`;
  }

  function countText(count) {
    return `${count.toLocaleString("en")} file${count === 1 ? "" : "s"}`;
  }

  function shareText(part, whole) {
    return whole ? `${((100 * part) / whole).toFixed(1)} %` : "0 %";
  }

  function sumUp(nodes) {
    const sum = { size: 0, files: 0 };
    for (const verdict of VERDICTS) sum[verdict] = 0;
    for (const node of nodes) {
      for (const name of Object.keys(sum)) sum[name] += node[name];
    }
    return sum;
  }

  // From rows of [parent, name, needed, removable, undecided, hidden, files, why].
  function readMap(rows) {
    const nodes = rows.map(([parent, name, ...rest], id) => {
      const [needed, removable, undecided, hidden, files, why] = rest;
      const size = needed + removable + undecided + hidden;
      return { id, parent, name, needed, removable, undecided, hidden, size, files, why, below: [] };
    });
    nodes[0].name = data.whole;
    nodes[0].path = data.whole;
    for (const node of nodes.slice(1)) {
      const parent = nodes[node.parent];
      parent.below.push(node);
      node.isRest = node.name === "";
      if (node.isRest) node.name = parent.below.length > 1 ? "others" : "files";
      const before = parent.id === 0 ? "" : parent.path;
      const joint = before === "" || node.name.startsWith("/") ? "" : " › ";
      node.path = `${before}${joint}${node.name}`;
      // Without the names of groups.
      node.place = node.name.startsWith("/") ? `${parent.place ?? ""}${node.name}` : undefined;
    }
    return nodes;
  }

  const maps = {};
  function mapBy(by) {
    maps[by] ??= readMap(data.maps[by]);
    return maps[by];
  }

  const state = { by: data.by, root: 0, chosen: null, query: "", paths: [], note: "" };
  const nodes = () => mapBy(state.by);

  let placesOfTiles = null;
  function places() {
    placesOfTiles ??= new Map(mapBy("dir").filter((node) => !node.isRest).map((node) => [node.place, node]));
    return placesOfTiles;
  }

  function wayTo(node) {
    const way = [node];
    while (way[0].parent >= 0) way.unshift(nodes()[way[0].parent]);
    return way;
  }

  // Those whose own name has the words, or ends them: not all that lies below.
  function matches(query, by = state.by) {
    const words = query.toLowerCase();
    const rows = mapBy(by);
    return rows.filter((node) => {
      if (node.id === 0 || node.isRest) return false;
      const end = node.path.toLowerCase().lastIndexOf(words) + words.length;
      return end >= words.length && (node.parent === 0 || end > rows[node.parent].path.length);
    });
  }

  // The paths without a tile of their own; the tiles that were found name the others.
  function pathMatches(query, tiles) {
    const told = new Set(tiles.map((node) => node.place));
    return matchPaths(state.paths, query).filter((row) => !told.has(row.path));
  }

  // The tile of the map by directory that has the bytes of a path.
  function tileAround(path) {
    let found = path;
    while (found && !places().has(found)) found = found.slice(0, found.lastIndexOf("/"));
    const node = found ? places().get(found) : mapBy("dir")[0];
    return node.below.find((below) => below.isRest) ?? node;
  }

  // The ids of all that is to stay bright: what was found, what lies in it, and the way there.
  function brightIds() {
    if (!state.query) return null;
    const bright = new Set();
    const tiles = matches(state.query);
    const around = state.by === "dir" ? pathMatches(state.query, tiles).map((row) => tileAround(row.path)) : [];
    for (const found of new Set([...tiles, ...around])) {
      for (const node of wayTo(found)) bright.add(node.id);
      const open = [found];
      while (open.length) {
        const node = open.pop();
        bright.add(node.id);
        open.push(...node.below);
      }
    }
    return bright;
  }

  function leaf(node, within, depth) {
    return { node, within, depth, isFrame: false };
  }

  // What is too small to be seen alone, as one node that can be gone into.
  function gather(node, small) {
    const id = `small ${node.id}`;
    const name = `${small.length} small ones`;
    const path = `${node.path}: ${name}`;
    const sums = sumUp(small);
    nodes()[id] = { id, name, path, why: "", parent: node.id, below: small, isGathered: true, ...sums };
    return nodes()[id];
  }

  // The largest tile is divided first, as long as there is room for what is in it; those of `flat`
  // have none.
  function divide(root, area, flat) {
    const scale = area / Math.max(1, root.size);
    const tiles = new Map([[root.id, leaf(root, null, 0)]]);
    const open = [tiles.get(root.id)];
    while (open.length && tiles.size < MOST_TILES) {
      open.sort((a, b) => a.node.size - b.node.size);
      const tile = open.pop();
      const { node, depth } = tile;
      const isClosed = depth >= DEEPEST || node.size * scale < FRAME_AREA || flat.has(node.id);
      if ((depth > 0 && isClosed) || !node.below.some((below) => below.size > 0)) continue;
      tile.isFrame = true;
      for (const below of partsOf(node, scale, MOST_TILES - tiles.size)) {
        tiles.set(below.id, leaf(below, node.id, depth + 1));
        if (!below.isGathered) open.push(tiles.get(below.id));
      }
    }
    return [...tiles.values()];
  }

  // What is in a tile, at most `room` of it; the smallest gathered.
  function partsOf(node, scale, room) {
    const below = node.below.filter((part) => part.size > 0).sort((a, b) => b.size - a.size);
    const fits = below.filter((part) => part.size * scale >= TILE_AREA).length;
    const seen = Math.max(1, Math.min(fits, room));
    if (below.length <= seen + 1) return below;
    return [...below.slice(0, seen), gather(node, below.slice(seen))];
  }

  // The rows that the map draws.
  function rowsOf(tiles) {
    const bright = brightIds();
    const isBright = (node) =>
      !bright || bright.has(node.id) || (node.isGathered && node.below.some(isBright));
    return tiles.map(({ node, within, depth, isFrame }) => {
      const parts = VERDICTS.filter((verdict) => node[verdict] > 0);
      const faint = isFrame ? 0.35 : 0.25;
      return {
        id: node.id,
        within,
        isFrame,
        isMixed: parts.length > 1,
        fill: isFrame ? FRAMES[depth % 2] : parts[0],
        opacity: isBright(node) ? 1 : faint,
        size: isFrame ? 0 : node.size,
        label: node.name,
        heading: `${depth ? node.name : node.path} · ${sizeText(node.size)}`,
        bytes: sizeText(node.size),
        spoken: `${node.path}, ${sizeText(node.size)}`,
        ...Object.fromEntries(VERDICTS.map((verdict) => [verdict, node[verdict]])),
      };
    });
  }

  // A fill that is told from the others without its colour, too.
  function addHatch() {
    const space = "http://www.w3.org/2000/svg";
    const make = (name, fields) => {
      const made = document.createElementNS(space, name);
      for (const [field, value] of Object.entries(fields)) made.setAttribute(field, value);
      return made;
    };
    const svg = make("svg", { width: 0, height: 0, "aria-hidden": "true" });
    svg.style.position = "absolute";
    const pattern = make("pattern", {
      id: "hatch", width: 7, height: 7, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)",
    });
    const ground = make("rect", { width: 7, height: 7 });
    const stroke = make("rect", { width: 1.6, height: 7 });
    ground.style.fill = "var(--hidden)";
    stroke.style.fill = "var(--hatch)";
    pattern.append(ground, stroke);
    svg.append(pattern);
    document.body.append(svg);
  }

  addHatch();
  const size = () => [Math.floor(box.clientWidth), Math.floor(box.clientHeight)];
  const { view } = await vegaEmbed(byId("drawing"), data.spec, {
    mode: "vega", renderer: "svg", actions: false, ast: true, tooltip: false,
    config: { text: { font: getComputedStyle(document.body).fontFamily } },
  });

  // A frame without room for its name and something below it.
  function isFlat(tile) {
    return tile.id !== state.root && (tile.h < LEAST_FRAME || tile.w < LEAST_FRAME);
  }

  function draw() {
    const [width, height] = size();
    if (!width || !height) return;
    view.width(width).height(height).signal("chosen", state.chosen);
    const flat = new Set();
    // Twice at most: a frame without its name does no harm.
    for (let pass = 0; pass < 2; pass += 1) {
      const tiles = divide(nodes()[state.root], width * height, flat);
      view.data("tiles", rowsOf(tiles)).run();
      const found = view.data("tiles").filter((tile) => tile.isFrame && isFlat(tile));
      if (!found.length) break;
      for (const tile of found) flat.add(tile.id);
    }
    crumbs();
    tell(state.chosen ?? state.root);
  }

  function choose(id) {
    state.chosen = id;
    view.signal("chosen", id).run();
    tell(id);
  }

  function go(root, chosen = null) {
    state.root = root;
    state.chosen = chosen;
    draw();
  }

  function enter(tile) {
    const node = nodes()[tile.id];
    if (node.id === state.root && tile.isFrame) leave();
    else if (node.below.length) go(node.id);
    else if (node.parent !== state.root) go(node.parent, node.id);
    else choose(tile.id);
  }

  function leave() {
    const node = nodes()[state.root];
    if (node.parent >= 0) go(node.parent, node.id);
  }

  function group(by, root = 0) {
    state.by = by;
    document.querySelector(`#by input[value=${by}]`).checked = true;
    state.root = root;
    state.chosen = null;
    search();
  }

  function crumbs() {
    const way = wayTo(nodes()[state.root]);
    byId("crumbs").replaceChildren(
      ...way.flatMap((node, place) => {
        const button = element("button", node.name, { type: "button", onclick: () => go(node.id) });
        if (node.id === state.root) button.setAttribute("aria-current", "location");
        return place ? [element("span", "›"), button] : [button];
      }),
    );
  }

  function tileOf(id) {
    return view.data("tiles").find((tile) => tile.id === id);
  }

  function tell(id) {
    const told = nodes()[id];
    const whole = nodes()[0].size;
    const parts = VERDICTS.filter((verdict) => told[verdict]).map((v) => `${v} ${sizeText(told[v])}`);
    const text = ` ${sizeText(told.size)}, ${shareText(told.size, whole)} of all, ${countText(told.files)}: ${parts.join(", ")}`;
    const why = told.why ? `. Needed: ${told.why}` : "";
    byId("details").replaceChildren(element("b", told.path), text + why);
  }

  function middle(tile) {
    const isHead = tile.isFrame;
    return [(tile.x0 + tile.x1) / 2, isHead ? tile.y0 + 9 : (tile.y0 + tile.y1) / 2];
  }

  // The nearest tile in a direction; sideways counts double.
  function step(dx, dy) {
    const tiles = view.data("tiles");
    const from = tileOf(state.chosen) ?? tileOf(state.root);
    const [x, y] = middle(from);
    let nearest = null;
    let least = Infinity;
    for (const tile of tiles) {
      const [tx, ty] = middle(tile);
      const along = (tx - x) * dx + (ty - y) * dy;
      const aside = Math.abs((tx - x) * dy) + Math.abs((ty - y) * dx);
      if (tile.id === from.id || along <= 1) continue;
      const distance = along + 2 * aside;
      if (distance < least) [nearest, least] = [tile, distance];
    }
    if (nearest) choose(nearest.id);
  }

  const KEYS = {
    ArrowLeft: () => step(-1, 0),
    ArrowRight: () => step(1, 0),
    ArrowUp: () => step(0, -1),
    ArrowDown: () => step(0, 1),
    Enter: () => enter(tileOf(state.chosen ?? state.root)),
    " ": () => enter(tileOf(state.chosen ?? state.root)),
    Escape: leave,
    Backspace: leave,
    Home: () => go(0),
  };

  function search() {
    const results = byId("results");
    state.query = byId("search").value.trim();
    results.hidden = !state.query;
    if (state.query) {
      const tiles = matches(state.query);
      const found = [...tiles, ...pathMatches(state.query, tiles)].sort((a, b) => b.size - a.size);
      const said = found.length ? `${found.length.toLocaleString("en")} found` : "nothing found";
      const more = found.length > MOST_RESULTS ? `, the largest ${MOST_RESULTS}:` : "";
      const shown = found.slice(0, MOST_RESULTS).map((row) => (row.id === undefined ? pathResult(row) : result(row)));
      const elsewhere = tiles.length ? [] : foundElsewhere();
      const notes = state.note ? [element("p", state.note)] : [];
      results.replaceChildren(element("p", said + more), ...notes, ...shown, ...elsewhere);
    }
    draw();
  }

  // What only another grouping has a name for: a package, a kind, an instruction.
  function foundElsewhere() {
    const counts = Object.keys(data.maps).map((by) => [by, matches(state.query, by).length]);
    return counts.filter(([, count]) => count > 0).map(([by, count]) => {
      const label = document.querySelector(`#by input[value=${by}] + span`).textContent;
      const button = element("button", "", { type: "button", onclick: () => group(by) });
      button.append(element("span", `group by ${label.toLowerCase()}`), element("b", `${count.toLocaleString("en")} found`));
      return button;
    });
  }

  function result(node) {
    const onclick = () => {
      if (node.below.length) go(node.id);
      else go(node.parent, node.id);
      box.scrollIntoView({ block: "nearest" });
    };
    const button = element("button", "", { type: "button", onclick });
    button.append(element("span", node.path), element("b", sizeText(node.size)));
    return button;
  }

  function pathResult(row) {
    const bytes = row.verdict ? `${sizeText(row.size)}, ${row.verdict}` : sizeText(row.size);
    const onclick = () => {
      if (state.by !== "dir") group("dir");
      const node = tileAround(row.path);
      if (node.below.length || node.parent < 0) go(node.id);
      else go(node.parent, node.id);
      byId("details").replaceChildren(element("b", row.path), ` ${bytes}, without a tile of its own: in ${node.path}`);
      box.scrollIntoView({ block: "nearest" });
    };
    const button = element("button", "", { type: "button", onclick });
    button.append(element("span", row.path), element("b", bytes));
    return button;
  }

  // Unpacking takes a browser of 2023: Chrome 80, Firefox 113, Safari 16.4.
  async function loadPaths() {
    const { packed, shown, total } = data.paths;
    const count = (number) => number.toLocaleString("en");
    if (!("DecompressionStream" in window)) {
      state.note = "This browser cannot unpack the list of all paths (DecompressionStream): only what has a tile is found.";
    } else {
      state.paths = await unpackPaths(packed);
      if (shown < total) state.note = `Of ${count(total)} paths the ${count(shown)} largest are found.`;
    }
    if (state.query) search();
    document.body.dataset.paths = "ready";
  }

  view.addEventListener("click", (event, item) => {
    if (item?.datum?.id !== undefined) enter(item.datum);
  });
  // Not "mouseover": a map that moves below a still mouse tells nothing.
  view.addEventListener("mousemove", (event, item) => {
    if (item?.datum?.id !== undefined) tell(item.datum.id);
  });
  box.addEventListener("keydown", (event) => {
    if (!KEYS[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    KEYS[event.key]();
  });
  byId("by").addEventListener("change", (event) => group(event.target.value));
  byId("search").addEventListener("input", search);
  for (const button of document.querySelectorAll(".layer")) {
    button.addEventListener("click", () => {
      const layer = mapBy("layer").find((node) => node.parent === 0 && node.name === button.dataset.layer);
      if (layer) group("layer", layer.id);
      byId("map-title").scrollIntoView({ block: "nearest" });
    });
  }
  new ResizeObserver(draw).observe(box);
  draw();
  document.body.dataset.ready = "true";
  await loadPaths();
})();
