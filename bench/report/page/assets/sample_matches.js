// Which prompts the samples tab shows, and in which order. An index holds a task's samples; a query
// is what the address asks for.

const LAST = -Infinity;

/** Return the index of a task's samples; null where there are none. */
function sampleIndex(task) {
  const data = (app.data.samples || {})[task];
  if (!data || !data.kept) return null;
  const columns = data.samples;
  const rows = new Map();
  const at = (map, key) => map.get(key) || map.set(key, new Map()).get(key);
  columns.prompt.forEach((prompt, row) => {
    const prompts = at(rows, `${columns.seed[row]} ${columns.draw[row]}`);
    at(prompts, prompt).set(columns.method[row], row);
  });
  const reward = standardized(columns.reward);
  const present = new Set(columns.method);
  return {
    ...data,
    columns,
    // Rows by seed and draw, prompt, and method.
    rows,
    // Where reward hacking shows: how far the proxy reward stands above the reward, both in
    // standard deviations from their mean over the task's samples in this page.
    gaps: standardized(columns.proxy).map((proxy, row) => proxy - reward[row]),
    seedNames: [...new Set(columns.seed)].sort((a, b) => a - b),
    drawNames: [...new Set(columns.draw)].sort((a, b) => a - b),
    methods: app.data.methods
      .map((method, place) => ({ ...method, place }))
      .filter(({ place }) => present.has(place)),
    source: (app.data.tasks.find(({ name }) => name === task) || {}).source || 'gold',
  };
}

/** Return how many standard deviations each value is from the mean; NaN where it is missing. */
function standardized(values) {
  const known = values.filter((value) => value !== null);
  const mean = known.reduce((sum, value) => sum + value, 0) / known.length;
  const variance = known.reduce((sum, value) => sum + (value - mean) ** 2, 0) / known.length;
  const deviation = Math.sqrt(variance) || 1;
  return values.map((value) => (value === null ? NaN : (value - mean) / deviation));
}

/** Return what the address asks for, as far as the task has it. */
function sampleQuery(task, index) {
  const known = (key, names) => names.find((name) => String(name) === app.get(key, ''));
  const methods = index.methods.map(({ name }) => name);
  const draws = index.drawNames.map((draw) => draw + 1);
  return {
    task,
    seed: known('seed', index.seedNames) ?? index.seedNames[0],
    draw: (known('draw', draws) ?? draws[0]) - 1,
    // -1, which no prompt is, where none is named.
    prompt: Number(app.get('sample', '0')) - 1,
    words: app.get('q', ''),
    better: known('better', methods) || '',
    than: known('than', methods) || '',
    order: known('order', Object.keys(sampleOrders(index))) || 'prompt',
    marks: app.get('marks', '') !== 'off',
    hidden: [...app.hidden()].sort(),
  };
}

/** Return the orders that the task's samples have, and what each is called. */
function sampleOrders(index) {
  const orders = { prompt: 'as in the data', difference: 'largest difference in reward' };
  if (index.gaps.some((gap) => !Number.isNaN(gap))) {
    orders.disagreement = `proxy furthest above ${index.source} reward`;
  }
  if (index.columns.ended.includes(false)) orders.unended = 'most responses not ended';
  return orders;
}

/** Return the rows of a prompt, by the method's place. */
function rowsOf(index, query, prompt) {
  const prompts = index.rows.get(`${query.seed} ${query.draw}`) || new Map();
  return prompts.get(prompt) || new Map();
}

/** Return a prompt's rows of the methods that are shown. */
function shownRows(index, query, prompt) {
  const rows = rowsOf(index, query, prompt);
  return index.methods
    .filter(({ name, place }) => rows.has(place) && !query.hidden.includes(name))
    .map(({ place }) => rows.get(place));
}

/** Return the prompts that pass all filters, in the order asked for. */
function matchingPrompts(index, query) {
  const words = query.words.trim().toLowerCase();
  const has = (text) => text.toLowerCase().includes(words);
  const matches = (turns, prompt) => {
    const rows = shownRows(index, query, prompt);
    const found = !words || turns.some(([, content]) => has(content))
      || rows.some((row) => has(index.columns.response[row]));
    const compared = !query.better || !query.than || rewardDifference(index, query, prompt) > 0;
    return found && compared && rows.length > 0;
  };
  const prompts = index.prompts.map((turns, prompt) => prompt)
    .filter((prompt) => matches(index.prompts[prompt], prompt));
  const keys = new Map(prompts.map((prompt) => [prompt, orderKey(index, query, prompt)]));
  const descending = (a, b) => (keys.get(a) === keys.get(b) ? a - b : keys.get(b) - keys.get(a));
  return prompts.sort(descending);
}

/** Return the reward of the method asked for minus that of the other; NaN where one is missing. */
function rewardDifference(index, query, prompt) {
  const rows = rowsOf(index, query, prompt);
  const [better, than] = [query.better, query.than].map((name) => {
    const row = rows.get(index.methods.find((method) => method.name === name).place);
    return row === undefined ? NaN : index.columns.reward[row] ?? NaN;
  });
  return better - than;
}

/** Return the number that prompts are ordered by, the largest first. */
function orderKey(index, query, prompt) {
  const rows = shownRows(index, query, prompt);
  const { reward, ended } = index.columns;
  if (query.order === 'difference') {
    if (query.better && query.than) return rewardDifference(index, query, prompt);
    const rewards = rows.map((row) => reward[row]).filter((value) => value !== null);
    return rewards.length ? Math.max(...rewards) - Math.min(...rewards) : LAST;
  }
  if (query.order === 'disagreement') {
    // Of the method asked for, where there is one.
    const place = index.methods.find(({ name }) => name === query.better)?.place;
    const asked = place === undefined ? rows : [rowsOf(index, query, prompt).get(place)];
    const gaps = asked.map((row) => index.gaps[row] ?? NaN).filter((gap) => !Number.isNaN(gap));
    return Math.max(LAST, ...gaps);
  }
  return query.order === 'unended' ? rows.filter((row) => ended[row] === false).length : 0;
}
