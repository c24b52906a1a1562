// How texts of models are shown: what is invisible made visible, and words that differ marked.

// Direction overrides, zero-width characters, blank letters and tags could hide what a text says.
const INVISIBLE = new RegExp(
  '[\\u0000-\\u0008\\u000B-\\u001F\\u007F-\\u009F\\u00AD\\u034F\\u061C\\u115F\\u1160\\u17B4\\u17B5'
    + '\\u180B-\\u180F\\u200B\\u200E\\u200F\\u2028-\\u202E\\u2060-\\u206F\\u2800\\u3164\\uFEFF\\uFFA0'
    + '\\uFFF9-\\uFFFB\\u{E0000}-\\u{E0FFF}\\p{Cs}]'
    // Persian, Indic scripts and emojis need joiners; next to a Latin letter they hide something.
    + '|(?<![^\\u0000-\\u024F])[\\u200C\\u200D]|[\\u200C\\u200D](?![^\\u0000-\\u024F])',
  'gu',
);
// A word, one character of a script without spaces, white space, or any other character.
const WORD = new RegExp(
  '[\\p{sc=Han}\\p{sc=Hira}\\p{sc=Kana}\\p{sc=Thai}]\\p{M}*'
    + "|(?:(?![\\p{sc=Han}\\p{sc=Hira}\\p{sc=Kana}\\p{sc=Thai}])[\\p{L}\\p{M}\\p{N}_'’])+|\\s+|[^]",
  'gu',
);
// Beyond this the middle of two texts counts as different throughout: finding out takes too long.
const MOST_CELLS = 5e6;

/** Return a text with its control and invisible characters shown as their code points. */
function visible(text) {
  return text.replace(/\r\n/g, '\n').replace(INVISIBLE, (character) => {
    const code = character.codePointAt(0).toString(16).toUpperCase().padStart(4, '0');
    return `[U+${code}]`;
  });
}

/** Return the parts of a text as {text, differs}: differs where its words are not in the other. */
function differingParts(text, other) {
  const pieces = text.match(WORD) || [];
  const words = pieces.filter(isWord);
  const wordDiffers = differingWords(words, (other.match(WORD) || []).filter(isWord));
  let seen = 0;
  // White space between two different words belongs to them; at their edge it does not.
  const differs = pieces.map((piece) => (
    isWord(piece) ? wordDiffers[seen++] : Boolean(wordDiffers[seen - 1] && wordDiffers[seen])
  ));
  const parts = [];
  pieces.forEach((piece, i) => {
    const last = parts[parts.length - 1];
    if (last && last.differs === differs[i]) last.text += piece;
    else parts.push({ text: piece, differs: differs[i] });
  });
  return parts;
}

/** Return whether a piece of text is no white space. */
function isWord(piece) {
  return !/^\s/u.test(piece);
}

/** Return for each word whether it is outside a longest common subsequence with the others. */
function differingWords(words, others) {
  let start = 0;
  while (start < words.length && words[start] === others[start]) start += 1;
  let end = words.length;
  let otherEnd = others.length;
  while (end > start && otherEnd > start && words[end - 1] === others[otherEnd - 1]) {
    end -= 1;
    otherEnd -= 1;
  }
  const differs = words.map((_, i) => i >= start && i < end);
  const width = otherEnd - start + 1;
  if ((end - start) * width > MOST_CELLS) return differs;
  // lengths[i, j]: of the longest common subsequence of what follows word i and other j.
  const lengths = new Uint16Array((end - start + 1) * width);
  for (let i = end - start - 1; i >= 0; i -= 1) {
    for (let j = width - 2; j >= 0; j -= 1) {
      const below = (i + 1) * width + j;
      lengths[i * width + j] = words[start + i] === others[start + j]
        ? lengths[below + 1] + 1
        : Math.max(lengths[below], lengths[i * width + j + 1]);
    }
  }
  for (let i = 0, j = 0; i < end - start && j < width - 1;) {
    const below = (i + 1) * width + j;
    if (words[start + i] === others[start + j]) {
      differs[start + i] = false;
      i += 1;
      j += 1;
    } else if (lengths[below] >= lengths[i * width + j + 1]) {
      i += 1;
    } else {
      j += 1;
    }
  }
  return differs;
}
