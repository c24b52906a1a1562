// Charts: Vega-Lite made in Python, drawn here with the page's colors. Drag zooms, double click
// shows everything again.

const dark = window.matchMedia('(prefers-color-scheme: dark)');

/** Return the color of a method on the current background. */
function methodColor(method) {
  return dark.matches ? method.dark_color : method.color;
}

/** Return the part of a Vega-Lite configuration that the page's colors decide. */
function theme() {
  const style = getComputedStyle(document.documentElement);
  const color = (name) => style.getPropertyValue(`--${name}`).trim();
  const font = 'system-ui, -apple-system, "Segoe UI", Roboto, sans-serif';
  return {
    background: null,
    font,
    padding: 8,
    view: { stroke: null },
    axis: {
      labelColor: color('soft'), titleColor: color('ink'), titleFontWeight: 500, titleFontSize: 12,
      labelFontSize: 11, gridColor: color('line'), domainColor: color('soft'), tickColor: color('soft'),
    },
    title: { color: color('ink'), subtitleColor: color('soft'), anchor: 'start', fontSize: 13 },
    header: { labelColor: color('ink') },
    text: { color: color('ink') },
    rule: { color: color('soft') },
    style: { ink: { stroke: color('ink'), color: color('ink') }, page: { fill: color('card') } },
  };
}

/** Give every encoding by method its color and mark, and no legend: the page has one. */
function withMethodLooks(part) {
  if (Array.isArray(part)) return part.map(withMethodLooks);
  if (part === null || typeof part !== 'object') return part;
  const copy = {};
  for (const [key, value] of Object.entries(part)) {
    copy[key] = withMethodLooks(value);
    if (!['color', 'shape', 'fill', 'stroke'].includes(key) || value?.field !== 'method') continue;
    const looks = app.data.methods.map((each) => (key === 'shape' ? each.shape : methodColor(each)));
    const domain = app.data.methods.map((each) => each.name);
    copy[key] = { ...value, scale: { domain, range: looks }, legend: null };
  }
  return copy;
}

/** Show what is under the pointer: names and values as text. */
const tooltip = (() => {
  const box = el('div', { id: 'tooltip', role: 'tooltip', hidden: true });
  document.body.append(box);
  return (_, event, item, value) => {
    box.hidden = !value;
    if (!value) return;
    const rows = typeof value === 'object' ? Object.entries(value) : [['', value]];
    box.replaceChildren(...rows
      .filter(([, shown]) => shown !== '' && shown !== 'null')
      .map(([name, shown]) => el('div', {}, el('span', { text: name }), el('b', { text: String(shown) }))));
    const { width, height } = box.getBoundingClientRect();
    box.style.left = `${Math.max(4, Math.min(event.clientX + 14, innerWidth - width - 8))}px`;
    box.style.top = `${Math.max(4, Math.min(event.clientY + 14, innerHeight - height - 8))}px`;
  };
})();

/** Draw a specification with named data; return its view. */
async function drawChart(container, spec, datasets, options = {}) {
  const drawn = { ...withMethodLooks(spec), datasets, width: 'container', height: 'container', autosize: { type: 'fit', contains: 'padding' } };
  const { view } = await vegaEmbed(container, drawn, {
    mode: 'vega-lite', renderer: 'svg', ast: true, actions: false, defaultStyle: false,
    tooltip, config: theme(), ...options,
  });
  return view;
}

/** Return the specification with the axes at a zoomed part. */
function zoomed(spec, zoom) {
  if (!zoom) return spec;
  const copy = structuredClone(spec);
  for (const axis of ['x', 'y']) {
    const encoding = copy.encoding?.[axis];
    if (encoding && zoom[axis]) {
      encoding.scale = { ...encoding.scale, domain: zoom[axis], nice: false, zero: false };
    }
  }
  return copy;
}

/** Return the key of lines and points: what each kind stands for. */
function plotKey(marks) {
  const svg = (tag, attributes) => {
    const element = document.createElementNS('http://www.w3.org/2000/svg', tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    return element;
  };
  return marks.map(({ label, dash, fill }) => {
    const picture = svg('svg', { viewBox: '0 0 44 12', 'aria-hidden': 'true' });
    const line = { x1: 0, x2: 44, y1: 6, y2: 6, stroke: 'currentColor', 'stroke-width': 1.6 };
    if (dash) picture.append(svg('line', { ...line, 'stroke-dasharray': dash.join(' ') }));
    if (fill !== null) {
      picture.append(
        svg('circle', { cx: 22, cy: 6, r: 4.5, fill: 'var(--card)' }),
        svg('circle', { cx: 22, cy: 6, r: 4.5, stroke: 'currentColor', 'stroke-width': 1.6, fill: 'currentColor', 'fill-opacity': fill }),
      );
    }
    return el('span', {}, picture, label);
  });
}

/** Fill a plot's place: its switches, and the chart of the current task. */
function plotView(root) {
  const name = root.dataset.plot;
  const plots = new Map(app.data.plots[name].map((plot) => [plot.task, plot]));
  const controls = el('div', { class: 'switches' });
  const key = el('div', { class: 'key' });
  const place = el('div', { class: 'canvas' });
  const none = el('p', { class: 'note', text: 'Nothing to draw for this task.' });
  root.replaceChildren(controls, key, place, none);
  let zoom = null;
  let current = '';
  let view = null;

  function choices(plot) {
    return plot.switches.map(({ label, options }) => {
      const chosen = app.get(`${name}.${label}`);
      return options.includes(chosen) ? chosen : options[0];
    });
  }

  function drawControls(plot, chosen) {
    const buttons = plot.switches.map(({ label, options }, i) =>
      choice(label, options.map((value) => ({ value, text: value })), chosen[i], (value) => {
        zoom = null;
        app.set({ [`${name}.${label}`]: value === options[0] ? '' : value });
      }));
    const reset = el('button', { type: 'button', text: 'Reset zoom', onclick: () => { zoom = null; draw(true); } });
    const focused = controls.contains(document.activeElement) ? document.activeElement.textContent : '';
    controls.replaceChildren(...buttons, ...(zoom ? [reset] : []));
    if (focused) [...controls.querySelectorAll('button')].find((b) => b.textContent === focused)?.focus();
  }

  async function draw(force = false) {
    if (!root.offsetParent) return;
    const plot = plots.get(app.task());
    none.hidden = Boolean(plot);
    place.hidden = !plot;
    controls.hidden = !plot;
    key.replaceChildren(...plotKey(plot?.key ?? []));
    if (!plot) return;
    const chosen = choices(plot);
    const hidden = app.hidden();
    const wanted = JSON.stringify([plot.task, chosen, [...hidden], dark.matches, zoom]);
    if (wanted === current && !force) return;
    if (plot.task !== (current ? JSON.parse(current)[0] : '')) zoom = null;
    current = wanted;
    drawControls(plot, chosen);
    const data = Object.fromEntries(Object.entries(plot.data).map(([each, rows]) =>
      [each, rows.filter((row) => !hidden.has(row.method))]));
    view?.finalize();
    view = await drawChart(place, zoomed(plot.specs[chosen.join('|')], zoom), data);
    place.querySelector('svg')?.setAttribute('role', 'img');
    place.querySelector('svg')?.setAttribute('aria-label', `${plot.title}. The tables hold the numbers.`);
    watchZoom();
  }

  function watchZoom() {
    const brushed = () => {
      const store = view.data('brush_store')[0];
      if (!store) return;
      const ranges = Object.fromEntries(store.fields.map((field, i) => [field.channel, store.values[i]]));
      const wide = ['x', 'y'].every((axis) => {
        const scale = view.scale(axis);
        return ranges[axis] && Math.abs(scale(ranges[axis][1]) - scale(ranges[axis][0])) > 8;
      });
      if (!wide) return;
      zoom = { x: [...ranges.x].sort((a, b) => a - b), y: [...ranges.y].sort((a, b) => a - b) };
      draw(true);
    };
    place.onpointerup = () => setTimeout(brushed, 0);
    place.ondblclick = () => { zoom = null; draw(true); };
  }

  app.subscribe(() => draw());
  dark.addEventListener('change', () => draw());
  window.addEventListener('beforeprint', () => draw());
}
