// Tables: sorted by a heading, filtered by text, with columns hidden, copied as papers print them.

/** Return a table's columns and rows as they are shown. */
function shownTable(table) {
  const heads = [...table.tHead.rows[0].cells];
  const columns = heads.map((th, i) => ({ i, th })).filter(({ th }) => !th.hidden);
  const rows = [...table.tBodies[0].rows].filter((row) => !row.hidden);
  return {
    names: columns.map(({ th }) => th.dataset.name),
    labels: columns.map(({ th }) => th.dataset.label),
    numeric: columns.map(({ th }) => th.classList.contains('number')),
    best: columns.map(({ th }) => th.dataset.best || ''),
    rows: rows.map((row) => columns.map(({ i }) => row.cells[i])),
  };
}

/** Return the table as CSV: values in full, intervals as columns of their own. */
function asCsv(table) {
  const { labels, rows } = shownTable(table);
  const ranged = labels.map((_, i) => rows.some((cells) => cells[i].dataset.low !== undefined));
  // A cell that a spreadsheet would take for a formula stays text.
  const quote = (text) => {
    const inert = /^[=+\-@\t\r]/.test(text) && Number.isNaN(Number(text)) ? `'${text}` : text;
    return /[",\n\r]/.test(inert) ? `"${inert.replaceAll('"', '""')}"` : inert;
  };
  const line = (cells) => cells.map(quote).join(',');
  const head = labels.flatMap((label, i) => (ranged[i] ? [label, `${label} low`, `${label} high`] : [label]));
  const body = rows.map((cells) => cells.flatMap((cell, i) => {
    const value = cell.dataset.value ?? cell.textContent.trim();
    return ranged[i] ? [value, cell.dataset.low ?? '', cell.dataset.high ?? ''] : [value];
  }));
  return [head, ...body].map(line).join('\n');
}

/** Return, for each column, the cells with its best value; privileged methods do not compete. */
function bestCells({ names, rows, best }) {
  const found = new Set();
  const privileged = new Set(app.data.methods.filter((method) => method.privileged).map(({ label }) => label));
  const place = names.indexOf('method');
  const competing = rows.filter((row) => !privileged.has(row[place]?.textContent.trim()));
  best.forEach((side, i) => {
    const cells = competing.map((row) => row[i]).filter((cell) => cell.dataset.value);
    if (!side || cells.length < 2) return;
    const values = cells.map((cell) => Number(cell.dataset.value));
    const top = side === 'high' ? Math.max(...values) : Math.min(...values);
    cells.filter((cell) => Number(cell.dataset.value) === top).forEach((cell) => found.add(cell));
  });
  return found;
}

/** Return the table in Markdown, with the best of each column in bold. */
function asMarkdown(table) {
  const shown = shownTable(table);
  const best = bestCells(shown);
  const plain = (text) => text.trim().replaceAll(/\s+/g, ' ').replaceAll(/([\\`*|[\]<>_])/g, '\\$1');
  const cell = (each) => (best.has(each) ? `**${plain(each.textContent)}**` : plain(each.textContent));
  const line = (cells) => `| ${cells.join(' | ')} |`;
  return [
    line(shown.labels.map(plain)),
    line(shown.numeric.map((number) => (number ? '---:' : '---'))),
    ...shown.rows.map((cells) => line(cells.map(cell))),
  ].join('\n');
}

/** Return the table as a LaTeX tabular of booktabs, with the best of each column in bold. */
function asLatex(table) {
  const shown = shownTable(table);
  const best = bestCells(shown);
  const symbols = { '\\': '\\textbackslash{}', '~': '\\textasciitilde{}', '^': '\\textasciicircum{}' };
  const plain = (text) => text.trim().replaceAll(/\s+/g, ' ')
    .replaceAll(/[\\~^&%$#_{}]/g, (symbol) => symbols[symbol] ?? `\\${symbol}`)
    .replaceAll('±', '$\\pm$').replaceAll('—', '---').replaceAll('√', '$\\surd$')
    .replaceAll(/(^|[\s[(])-(?=\d)/g, '$1$-$').replaceAll(/[<>]/g, (symbol) => `$${symbol}$`);
  const cell = (each) => (best.has(each) ? `\\textbf{${plain(each.textContent)}}` : plain(each.textContent));
  const line = (cells) => `${cells.join(' & ')} \\\\`;
  return [
    `\\begin{tabular}{${shown.numeric.map((number) => (number ? 'r' : 'l')).join('')}}`,
    '\\toprule', line(shown.labels.map(plain)), '\\midrule',
    ...shown.rows.map((cells) => line(cells.map(cell))),
    '\\bottomrule', '\\end{tabular}',
  ].join('\n');
}

/** Copy a text; where the browser does not let pages copy, select it for the reader. */
async function copyText(text, button) {
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = 'Copied';
  } catch {
    const area = el('textarea', { class: 'copied', 'aria-label': 'The text to copy' });
    area.value = text;
    button.after(area);
    area.select();
    button.textContent = document.execCommand('copy') ? 'Copied' : 'Press Ctrl+C';
    area.addEventListener('blur', () => area.remove());
    if (button.textContent === 'Copied') area.remove();
  }
  setTimeout(() => { button.textContent = button.dataset.label; }, 1500);
}

/** Return the value by which a cell is sorted. */
function sortValue(cell) {
  return cell.dataset.value === undefined ? cell.textContent.trim().toLowerCase() : Number(cell.dataset.value);
}

/** Make a table sort, filter, hide columns and copy. */
function tableView(table) {
  const id = table.id;
  const heads = [...table.tHead.rows[0].cells];
  const body = table.tBodies[0];
  const inOrder = [...body.rows];
  const names = new Map(app.data.methods.flatMap(({ name, label }) => [[name, name], [label, name]]));
  const place = heads.findIndex((th) => th.dataset.name === 'method');
  const methodOf = new Map(inOrder.map((row) => [row, names.get(row.cells[place]?.textContent.trim())]));
  let search = '';

  heads.forEach((th, i) => {
    const label = th.querySelector('.label');
    const button = el('button', {
      type: 'button', class: 'sort', text: th.dataset.label,
      onclick: () => {
        const [column, side] = app.get(`sort.${id}`).split(':');
        const first = th.classList.contains('number') ? 'desc' : 'asc';
        const second = first === 'desc' ? 'asc' : 'desc';
        const next = column !== String(i) ? first : side === first ? second : '';
        app.set({ [`sort.${id}`]: next && `${i}:${next}` });
      },
    });
    label.replaceChildren(button);
  });

  function sort() {
    const [column, side] = app.get(`sort.${id}`).split(':');
    const i = Number(column);
    const sign = side === 'desc' ? -1 : 1;
    heads.forEach((th, j) => {
      if (column !== '' && i === j) th.setAttribute('aria-sort', sign < 0 ? 'descending' : 'ascending');
      else th.removeAttribute('aria-sort');
    });
    if (column === '' || !heads[i]) return inOrder;
    const missing = (value) => typeof value === 'number' ? Number.isNaN(value) : value === '—';
    return [...inOrder].sort((a, b) => {
      const [x, y] = [sortValue(a.cells[i]), sortValue(b.cells[i])];
      if (missing(x) || missing(y)) return Number(missing(x)) - Number(missing(y));
      if (typeof x !== typeof y) return typeof x === 'number' ? -1 : 1;
      return sign * (x < y ? -1 : x > y ? 1 : 0);
    });
  }

  function render() {
    const hidden = app.hidden();
    const order = sort();
    for (const row of order) {
      const method = methodOf.get(row);
      const found = !search || row.textContent.toLowerCase().includes(search);
      row.hidden = !found || (method !== undefined && hidden.has(method));
    }
    if (order.some((row, i) => body.rows[i] !== row)) body.append(...order);
  }

  const tools = tableTools(table, heads, (text) => { search = text; render(); });
  table.closest('.scroll').before(tools);
  app.subscribe(render);
}

/** Return a table's controls: filter, columns, copy. */
function tableTools(table, heads, filter) {
  const input = el('input', {
    type: 'search', placeholder: 'Filter rows', 'aria-label': 'Filter rows by text',
    oninput: (event) => filter(event.target.value.trim().toLowerCase()),
  });
  const boxes = heads.slice(1).map((th, i) => {
    const box = el('input', {
      type: 'checkbox',
      onchange: () => {
        th.hidden = !box.checked;
        for (const row of table.tBodies[0].rows) row.cells[i + 1].hidden = !box.checked;
      },
    });
    box.checked = true;
    return el('label', {}, box, th.dataset.label);
  });
  const formats = { CSV: asCsv, Markdown: asMarkdown, LaTeX: asLatex };
  const copies = Object.entries(formats).map(([name, format]) =>
    el('button', {
      type: 'button', text: name, 'data-label': name,
      onclick: (event) => copyText(format(table), event.currentTarget),
    }));
  const menu = (label, ...contents) => el('details', { class: 'menu' },
    el('summary', { text: label }), el('div', {}, ...contents));
  return el('div', { class: 'tools' },
    table.tBodies[0].rows.length > 5 ? input : null,
    heads.length > 3 ? menu('Columns', ...boxes) : null,
    menu('Copy', ...copies));
}
