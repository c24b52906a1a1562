// The samples tab: one test prompt at a time, answered by all methods side by side.

/** Show a prompt and each method's response to it, with filters and a pager. */
function samplesView(root) {
  const nothing = el('p', { class: 'note', text: 'This task has no samples.' });
  const scope = el('p', { class: 'note' });
  const controls = sampleControls();
  const pager = samplePager();
  const prompt = el('section', { class: 'samples-prompt', 'aria-label': 'Prompt' });
  const note = el('p', { class: 'note' });
  const cards = el('div', { class: 'samples-grid' });
  const body = el('div', {}, scope, controls.form, pager.nav, prompt, note, cards);
  root.replaceChildren(nothing, body);
  const indexes = new Map();
  let shown = '';

  const render = () => {
    const task = app.task();
    if (!indexes.has(task)) indexes.set(task, sampleIndex(task));
    const index = indexes.get(task);
    nothing.hidden = Boolean(index);
    body.hidden = !index;
    if (!index) return;
    const query = sampleQuery(task, index);
    // Changes that only other tabs show come here as well.
    const wanted = JSON.stringify([query, dark.matches]);
    if (wanted === shown) return;
    shown = wanted;
    const matches = matchingPrompts(index, query);
    const current = matches.includes(query.prompt) ? query.prompt : matches[0];
    const found = current !== undefined;
    scope.textContent = sampleScope(index);
    controls.update(index, query);
    pager.update(index, matches, current);
    prompt.hidden = !found;
    prompt.replaceChildren(...(found ? promptTurns(index.prompts[current]) : []));
    note.textContent = found ? sampleNote(index, query, current) : '';
    note.hidden = !note.textContent;
    cards.replaceChildren(...(found ? sampleCards(index, query, current) : []));
  };
  app.subscribe(render);
  dark.addEventListener('change', render);
}

/** Return which of the samples are in the page, as a sentence. */
function sampleScope(index) {
  const count = ([kept, of], name, first) => {
    const all = `${of} ${name}${of === 1 ? '' : 's'}`;
    return kept < of ? `${first}${kept} of ${all}` : all;
  };
  const parts = [
    count([index.kept, index.of], 'test prompt', ''),
    count(index.seeds, 'seed', 'the first '),
    `${count(index.draws, 'response', 'the first ')} to each prompt and seed`,
  ];
  const cut = [[index.kept, index.of], index.seeds, index.draws].some(([kept, of]) => kept < of);
  return `${parts.join(', ')}.${cut ? ' samples.parquet has all.' : ''}`;
}

/** Return what the filter and the order say of a prompt, in sentences. */
function sampleNote(index, query, prompt) {
  return [comparisonNote(index, query, prompt), orderNote(index, query, prompt)].join(' ').trim();
}

/** Return by how much the better method is better. */
function comparisonNote(index, query, prompt) {
  if (!query.better && !query.than) return '';
  if (query.better && !query.than && query.order === 'disagreement') {
    return `In the order of ${methodLabel(index, 'name', query.better)}.`;
  }
  if (!query.better || !query.than) return 'To compare two methods, choose both.';
  const [better, than] = [query.better, query.than].map((name) => methodLabel(index, 'name', name));
  const difference = shortNumber(rewardDifference(index, query, prompt));
  return `${better} is better than ${than} by ${difference} in ${index.source} reward.`;
}

/** Return what puts a prompt at its place in the order. */
function orderNote(index, query, prompt) {
  const rows = shownRows(index, query, prompt);
  const key = orderKey(index, query, prompt);
  if (query.order === 'unended') return `${key} of ${rows.length} responses did not end.`;
  if (query.order === 'difference' && !(query.better && query.than) && key > LAST) {
    return `The best and the worst response differ by ${shortNumber(key)} in ${index.source} reward.`;
  }
  if (query.order !== 'disagreement' || key === LAST) return '';
  const row = rows.find((other) => index.gaps[other] === key);
  const label = methodLabel(index, 'place', index.columns.method[row]);
  const side = key < 0 ? 'below' : 'above';
  return `${label}: the proxy reward stands ${shortNumber(Math.abs(key))} standard deviations ${side} `
    + `the ${index.source} reward, each counted from its mean over the task’s samples here. Far above, `
    + 'the policy may have found what the reward model likes.';
}

/** Return the label of the method that has this name or place. */
function methodLabel(index, key, value) {
  return visible(index.methods.find((method) => method[key] === value).label);
}

/** Return a prompt's turns, with their roles where it is a conversation. */
function promptTurns(turns) {
  const plain = turns.length === 1 && turns[0][0] === 'user';
  return turns.map(([role, content, length]) => {
    const parts = plain ? [] : [el('h4', { text: visible(role) })];
    parts.push(sampleText([{ text: visible(content), differs: false }]));
    if (length) parts.push(shortenedNote(content, length));
    return el('div', { class: 'samples-turn' }, ...parts);
  });
}

/** Return each shown method's response to a prompt, in the order of the methods. */
function sampleCards(index, query, prompt) {
  const rows = rowsOf(index, query, prompt);
  const sft = index.methods.find(({ name }) => name === 'sft');
  const sftRow = sft && query.marks ? rows.get(sft.place) : undefined;
  return index.methods
    .filter(({ name }) => !query.hidden.includes(name))
    .map((method) => sampleCard(index, method, rows.get(method.place), sftRow));
}

/** Return one method's response with its numbers, words that differ from another row's marked. */
function sampleCard(index, method, row, sftRow) {
  const heading = el('h4', {}, methodMark(method), visible(method.label));
  if (row === undefined) {
    const nothing = el('p', { class: 'note', text: 'No response at this seed.' });
    return el('article', { class: 'samples-card' }, heading, nothing);
  }
  const { response, reward, proxy, kl, tokens, ended } = index.columns;
  if (ended[row] === false) {
    const title = 'Cut off at the longest length: it has no end token.';
    heading.append(el('span', { class: 'samples-unended', title, text: 'not ended' }));
  }
  const text = visible(response[row]);
  const parts = sftRow === undefined || sftRow === row
    ? [{ text, differs: false }]
    : differingParts(text, visible(response[sftRow]));
  const source = index.source[0].toUpperCase() + index.source.slice(1);
  const klTitle = 'Of this response alone, so it may be below 0. The mean over responses is the KL '
    + 'divergence of the policy from the SFT policy.';
  const numbers = el(
    'dl',
    {},
    sampleFact(`${source} reward`, shortNumber(reward[row])),
    sampleFact('Proxy reward', shortNumber(proxy[row])),
    sampleFact('KL', kl[row] === null ? '—' : `${shortNumber(kl[row])} nats`, klTitle),
    sampleFact('Length', tokenCount(tokens[row])),
  );
  // The numbers come first: below a long text nobody would compare them.
  const card = el('article', { class: 'samples-card' }, heading, numbers);
  card.append(text ? sampleText(parts) : el('p', { class: 'note', text: 'An empty response.' }));
  const length = index.shortened[row];
  if (length) card.append(shortenedNote(response[row], length));
  return card;
}

/** Return a paragraph of a model's text, its parts that differ marked. */
function sampleText(parts) {
  const nodes = parts.map(({ text, differs }) => (differs ? el('mark', { text }) : text));
  return el('p', { class: 'samples-text', dir: 'auto' }, ...nodes);
}

/** Return a note that a text goes on. */
function shortenedNote(text, length) {
  const count = (value) => value.toLocaleString('en-US');
  const note = `Shortened: the first ${count([...text].length)} of ${count(length)} characters.`;
  return el('p', { class: 'note', text: note });
}

/** Return a name and a value for a list of numbers, with what it means where that needs words. */
function sampleFact(name, value, title) {
  return el('div', title ? { title } : {}, el('dt', { text: name }), el('dd', { text: value }));
}

/** Return a number of tokens with its unit. */
function tokenCount(tokens) {
  if (tokens === null) return '—';
  return tokens === 1 ? '1 token' : `${tokens} tokens`;
}
