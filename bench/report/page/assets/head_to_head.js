// Two methods of a task: their difference in words, by seed and by prompt.

/** Two methods of the current task against each other: in words, by seed and by prompt. */
function headToHeadView(root) {
  const parts = {
    first: el('select', {}),
    second: el('select', {}),
    empty: el('p', { text: 'Nothing to compare: fewer than two methods have a result here.' }),
    words: el('div', { 'aria-live': 'polite' }),
    seeds: headToHeadFigure(),
    prompts: headToHeadFigure(),
    bySeed: el('div', {}),
    decisive: el('section', {}),
  };
  const swap = el('button', { type: 'button', text: 'Swap', title: 'Swap the two methods' });
  parts.picker = el('div', { class: 'head-to-head-picker' },
    el('label', {}, 'Method', parts.first), swap, el('label', {}, 'against', parts.second));
  parts.seeds.figure.append(
    el('details', {}, el('summary', { text: 'Rewards by seed' }), parts.bySeed));
  parts.body = el('div', {}, parts.words,
    el('div', { class: 'head-to-head-figures' }, parts.seeds.figure, parts.prompts.figure),
    parts.decisive);
  parts.first.addEventListener('change', () => headToHeadPick(parts));
  parts.second.addEventListener('change', () => headToHeadPick(parts));
  swap.addEventListener('click', () => app.set({ a: parts.pair.b, b: parts.pair.a }));
  root.replaceChildren(el('div', { class: 'head-to-head' }, parts.picker, parts.empty, parts.body));
  const render = () => root.offsetParent && headToHeadRender(parts);
  app.subscribe(render);
  dark.addEventListener('change', render);
  window.addEventListener('beforeprint', render);
}

/** A figure, its caption and what its chart is drawn in. */
function headToHeadFigure() {
  const [caption, chart] = [el('figcaption', {}), el('div', { class: 'canvas' })];
  return { figure: el('figure', {}, caption, chart), caption, chart };
}

/** Sets the pair that the selects show; one method in both swaps the pair. */
function headToHeadPick(parts) {
  const [a, b] = [parts.first.value, parts.second.value];
  app.set(a === b ? { a: parts.pair.b, b: parts.pair.a } : { a, b });
}

/** Shows the pair of the address, or the task's default. */
function headToHeadRender(parts) {
  const task = app.data.head_to_head.tasks[app.task()];
  const pair = task && headToHeadPair(task.pairs, ...headToHeadChoice(task));
  parts.picker.hidden = parts.body.hidden = !pair;
  parts.empty.hidden = Boolean(pair);
  if (!pair) return;
  parts.pair = pair;
  headToHeadOptions(parts.first, task.methods, pair.a);
  headToHeadOptions(parts.second, task.methods, pair.b);
  parts.words.replaceChildren(...headToHeadWords(pair));
  headToHeadSeeds(parts, task, pair);
  headToHeadPrompts(parts, headToHeadByPrompt(task, pair), pair);
}

/** The names of the two methods to show. */
function headToHeadChoice(task) {
  const [a, b] = [app.get('a', ''), app.get('b', '')];
  const known = a !== b && task.methods.includes(a) && task.methods.includes(b);
  return known ? [a, b] : task.default;
}

/** Fills a select with the methods. */
function headToHeadOptions(select, methods, chosen) {
  select.replaceChildren(
    ...methods.map((name) => el('option', { value: name, text: headToHeadLabel(name) })));
  select.value = chosen;
}

/** The comparison of a less b; undefined where there is none. */
function headToHeadPair(pairs, a, b) {
  const backward = pairs.find((pair) => pair.a === b && pair.b === a);
  return backward ? headToHeadSwapped(backward) : pairs.find((p) => p.a === a && p.b === b);
}

/** The same comparison, with the two methods in each other's place. */
function headToHeadSwapped(pair) {
  const less = (value) => value == null ? value : 0 - value;
  const rest = (rate) => rate == null ? rate : 1 - rate;
  const opposite = { better: 'worse', worse: 'better' };
  return {
    ...pair,
    a: pair.b,
    b: pair.a,
    difference: less(pair.difference),
    low: less(pair.high),
    high: less(pair.low),
    differences: pair.differences.map(less),
    lost: [...pair.lost].reverse(),
    verdict: opposite[pair.verdict] || pair.verdict,
    win_rate: rest(pair.win_rate),
    length_controlled: rest(pair.length_controlled),
    prompt_rewards: pair.prompt_rewards && [...pair.prompt_rewards].reverse(),
  };
}

/** A method as the page has it. */
function headToHeadMethod(name) {
  return app.data.methods.find((method) => method.name === name) || { name, label: name };
}

/** The color of the method that is ahead. */
function headToHeadColor(pair, difference) {
  return methodColor(headToHeadMethod(difference < 0 ? pair.b : pair.a));
}

/** A method's name as the page shows it. */
function headToHeadLabel(name) {
  return headToHeadMethod(name).label;
}

/** A number with these decimals, or with two digits where that would show 0. */
function headToHeadNumber(value, decimals = 2) {
  if (value == null) return '—';
  const small = value !== 0 && Math.abs(value) < 0.5 * 10 ** -decimals;
  const digits = { minimumFractionDigits: decimals, maximumFractionDigits: decimals };
  return small ? value.toPrecision(2) : value.toLocaleString('en-US', digits);
}

/** A difference, with its sign. */
function headToHeadSigned(value) {
  return (value > 0 ? '+' : '') + headToHeadNumber(value);
}

/** "1 seed", "6 seeds". */
function headToHeadCount(number, noun) {
  return `${number.toLocaleString('en-US')} ${noun}${number === 1 ? '' : 's'}`;
}

/** The paragraphs on a comparison. */
function headToHeadWords(pair) {
  const names = [pair.a, pair.b].map(headToHeadLabel);
  const lost = pair.lost.map((seeds, i) => seeds
    ? `${names[i]} lost ${headToHeadCount(seeds, 'seed')} that ${names[1 - i]} finished.` : '');
  const others = [...lost, headToHeadWinRate(pair, names)].filter(Boolean);
  return [
    el('p', { class: 'head-to-head-answer', text: headToHeadAnswer(pair, names) }),
    el('p', { class: 'head-to-head-verdict', text: headToHeadVerdict(pair, names) }),
    ...others.map((text) => el('p', { text })),
  ];
}

/** The difference with its interval and tests. */
function headToHeadAnswer(pair, [a, b]) {
  if (pair.difference == null) return `${a} and ${b} finished no seed together.`;
  const behind = pair.difference < 0;
  const ends = behind ? [-pair.high, -pair.low] : [pair.low, pair.high];
  const interval = pair.low == null ? '' : ` [${ends.map((x) => headToHeadNumber(x)).join(', ')}]`;
  const order = pair.difference === 0 ? 'level with' : behind ? 'behind' : 'ahead of';
  const { source } = app.data.tasks.find((task) => task.name === app.task());
  const tests = [['sign-flip p =', pair.sign_flip_p], ['two-way p =', pair.two_way_p],
    ['Holm-corrected', pair.holm_p]].filter(([, p]) => p != null);
  return `${a} ${order} ${b} by ${headToHeadNumber(Math.abs(pair.difference))}${interval} `
    + `in ${source} reward; ${tests.map(([n, p]) => `${n} ${headToHeadNumber(p, 3)}`).join(', ')}; `
    + headToHeadCount(pair.seeds, 'seed')
    + (pair.prompts ? ` and ${headToHeadCount(pair.prompts, 'prompt')}` : '');
}

/** The verdict on a comparison, with its kind. */
function headToHeadVerdict(pair, [a, b]) {
  if (pair.kind === 'exploratory') return 'Exploratory: no verdict.';
  const verdict = {
    'better': `${a} is better than ${b}`,
    'worse': `${b} is better than ${a}`,
    'none': 'inconclusive',
    'too few seeds': 'none, too few seeds',
    'lost seeds': 'none, the method ahead lost seeds that the other finished',
    'no prompts': 'none, samples.parquet lacks the rewards on each test prompt',
  }[pair.verdict];
  return `Verdict (${pair.kind} contrast): ${verdict}.`;
}

/** How often the first method's response has more reward; empty where that is not known. */
function headToHeadWinRate(pair, [a, b]) {
  if (pair.win_rate == null) return '';
  const percent = (rate) => `${(100 * rate).toFixed(1)}%`;
  const known = (rate, text) => rate == null ? '' : text + percent(rate);
  const error = known(pair.win_rate_error, ', standard error ');
  const equal = known(pair.length_controlled, '; at equal length ');
  return `Win rate of ${a} against ${b}: ${percent(pair.win_rate)}${error}${equal}.`;
}

/** A caption that tells which color means that which method is ahead. */
function headToHeadCaption(pair, text) {
  const keys = [pair.a, pair.b].map((name) => {
    const swatch = el('span', { class: 'head-to-head-swatch' });
    swatch.style.background = methodColor(headToHeadMethod(name));
    return el('span', { class: 'head-to-head-key' }, swatch, `${headToHeadLabel(name)} ahead`);
  });
  return [text, el('span', { class: 'head-to-head-keys' }, keys)];
}

/** Draws a chart in place of the one before; returns its view, or null if a later one came first. */
async function headToHeadDraw(figure, name, rows) {
  const turn = figure.turn = (figure.turn ?? 0) + 1;
  figure.view?.finalize();
  figure.view = null;
  const view = await drawChart(figure.chart, app.data.head_to_head.specs[name], { [name]: rows });
  if (turn === figure.turn) return figure.view = view;
  view.finalize();
  return null;
}

/** A row of a chart: a difference in the color of who is ahead, with what its tooltip shows. */
function headToHeadRow(pair, difference, rewards, about) {
  const cells = [...rewards.map((reward) => headToHeadNumber(reward)), headToHeadSigned(difference)];
  const tooltip = { ...about, difference: cells[2] };
  [pair.a, pair.b].forEach((name, i) => {
    tooltip[`reward of ${headToHeadLabel(name)}`] = cells[i];
  });
  return { difference, color: headToHeadColor(pair, difference), cells, tooltip };
}

/** Draws the paired differences by seed, and lists them below. */
function headToHeadSeeds(parts, task, pair) {
  const [ours, theirs] = [task.rewards[pair.a], task.rewards[pair.b]];
  const rows = task.seeds.map((seed, i) => ({ row: String(seed),
    ...headToHeadRow(pair, pair.differences[i], [ours[i], theirs[i]], { seed: String(seed) }) }));
  const known = rows.filter((row) => row.difference != null);
  const interval = `[${headToHeadNumber(pair.low)}, ${headToHeadNumber(pair.high)}]`;
  const mean = { row: 'mean', difference: pair.difference, low: pair.low, high: pair.high,
    color: headToHeadColor(pair, pair.difference),
    tooltip: { 'mean difference': headToHeadSigned(pair.difference), '95% interval': interval } };
  parts.seeds.caption.replaceChildren(...headToHeadCaption(pair,
    `By seed: ${headToHeadLabel(pair.a)} minus ${headToHeadLabel(pair.b)}, and the mean with its `
    + `95% interval over ${pair.prompts ? 'seeds and prompts' : 'seeds'}.`));
  parts.bySeed.replaceChildren(
    headToHeadTable(pair, 'seed', known.map((row) => [row.row, ...row.cells])));
  const shown = known.length ? [mean, ...known] : [];
  parts.seeds.chart.style.height = `${80 + 20 * shown.length}px`;
  headToHeadDraw(parts.seeds, 'seeds', shown);
}

/** A table with text on the left, then both rewards and their difference. */
function headToHeadTable(pair, first, rows) {
  const headings = [first, headToHeadLabel(pair.a), headToHeadLabel(pair.b), 'difference'];
  const head = el('tr', {}, ...headings.map((text) => el('th', { scope: 'col', text })));
  const body = rows.map((cells) => el('tr', {}, ...cells.map((cell) => el('td', {}, cell))));
  return el('div', { class: 'scroll' }, el('table', {}, el('thead', {}, head), el('tbody', {}, body)));
}

/** A row for each prompt with samples of both methods, from most ahead to most behind. */
function headToHeadByPrompt(task, pair) {
  const means = task.prompt_rewards || {};
  const [ours, theirs] = pair.prompt_rewards || [means[pair.a], means[pair.b]];
  if (!ours || !theirs) return [];
  return ours.map((reward, index) => ({ index, rewards: [reward, theirs[index]] }))
    .filter(({ rewards }) => rewards[0] != null && rewards[1] != null)
    .sort((x, y) => (y.rewards[0] - y.rewards[1]) - (x.rewards[0] - x.rewards[1]))
    .map(({ index, rewards }, rank) => ({ index, rank, ...headToHeadRow(pair, rewards[0] - rewards[1],
      rewards, { prompt: `${index + 1} ${headToHeadText(index).slice(0, 80)}` }) }));
}

/** The place of a prompt in the page's samples, which may hold some only, evenly spaced; or -1. */
function headToHeadPlace(index) {
  const { kept, of } = app.data.samples?.[app.task()] ?? { kept: 0, of: 0 };
  const place = Math.ceil(index * kept / of);
  return place < kept && Math.floor(place * of / kept) === index ? place : -1;
}

/** A prompt's text; empty where the page does not have it. */
function headToHeadText(index) {
  const turns = app.data.samples?.[app.task()]?.prompts[headToHeadPlace(index)] ?? [];
  const role = (name) => turns.length > 1 ? `${name}: ` : '';
  return turns.map(([name, content]) => role(name) + content).join('\n');
}

/** Shows a prompt in the samples tab, which counts from 1, by the better method. */
function headToHeadOpen(pair, { index, difference }) {
  const [better, than] = difference < 0 ? [pair.b, pair.a] : [pair.a, pair.b];
  const place = headToHeadPlace(index);
  if (place >= 0) app.set({ tab: 'samples', sample: String(place + 1), better, than });
}

/** Draws the differences by prompt, and lists the largest ones. */
function headToHeadPrompts(parts, rows, pair) {
  parts.prompts.figure.hidden = !rows.length;
  parts.decisive.replaceChildren();
  if (!rows.length) return;
  parts.prompts.caption.replaceChildren(...headToHeadCaption(pair,
    `By test prompt: ${headToHeadLabel(pair.a)} minus ${headToHeadLabel(pair.b)}, sorted; mean `
    + 'rewards of sampled responses. Click a prompt to read them.'));
  headToHeadDraw(parts.prompts, 'prompts', rows).then((view) => view?.addEventListener('click',
    (event, item) => item?.datum?.rank != null && headToHeadOpen(pair, item.datum)));
  const largest = [...rows].sort((x, y) => Math.abs(y.difference) - Math.abs(x.difference));
  const cells = largest.slice(0, 5).map((row) => [
    el('div', {}, el('button', { type: 'button', class: 'head-to-head-prompt',
      disabled: headToHeadPlace(row.index) < 0, text: `Prompt ${row.index + 1}`,
      onclick: () => headToHeadOpen(pair, row) }),
    el('div', { class: 'head-to-head-text', text: headToHeadText(row.index) })),
    ...row.cells,
  ]);
  parts.decisive.append(el('h3', { text: 'Prompts that decide' }),
    el('p', { text: 'The test prompts with the largest differences.' }),
    headToHeadTable(pair, 'prompt', cells));
}
