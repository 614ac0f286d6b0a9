// Finding features by what somebody types or says.

// Small letters without accents and apostrophes: "Crème brûlée" and "creme brulee" are one.
const plain = (text) => text.toLowerCase().normalize("NFKD").replace(/[\p{M}'\u2019]/gu, "")
  .replace(/[^\p{L}\p{N}+]+/gu, " ").trim();
const stem = (word) => (word.length > 3 ? word.replace(/([^s])s$/, "$1") : word);
const wordsOf = (text) => plain(text).split(" ").filter(Boolean).map(stem);

function indexed(names) {
  return names.map((name, feature) => ({feature, text: plain(name), words: wordsOf(name)}));
}

// Features with a word that starts like each word of the query. The whole name, whole words and
// first words come first; of equals, what more households buy.
function search(index, query, among = () => true) {
  const asked = wordsOf(query);
  const text = plain(query);
  const fit = ({words, text: own}) => asked.reduce((sum, a) => sum + (words.includes(a) ? 2 : 1), 0)
    + (words[0] === asked[0] ? 1 : 0) + (own === text ? 100 : 0);
  return index
    .filter(({feature, words}) => among(feature)
      && asked.every((a) => words.some((word) => word.startsWith(a))))
    .sort((a, b) => fit(b) - fit(a) || a.feature - b.feature)
    .map(({feature}) => feature);
}

function trigrams(text) {
  const padded = `  ${text} `;
  return new Set(Array.from({length: padded.length - 2}, (_, i) => padded.slice(i, i + 3)));
}

// Dice's coefficient of the triples of letters: 1 for equal words, 0 where nothing is shared.
function likeness(a, b) {
  const [one, other] = [trigrams(a), trigrams(b)];
  const shared = [...one].filter((triple) => other.has(triple)).length;
  return 2 * shared / (one.size + other.size);
}

// Less alike than this is another word: "undo" is no misspelt "underwear".
const FLOOR = 0.42;

// The names most like the query: each word beside the word of the name that is most like it. None
// if they are far, and none that is much farther than the best.
function nearest(index, query, {count, among = () => true, floor = FLOOR}) {
  const asked = wordsOf(query);
  const fit = ({text, words}) => {
    const best = asked.map((a) => Math.max(0, ...words.map((word) => likeness(a, word))));
    const mean = best.reduce((sum, one) => sum + one, 0) / (best.length || 1);
    return Math.min(...best) < floor / 2 ? 0 : mean + likeness(plain(query), text) / 100;
  };
  const found = index.filter(({feature}) => among(feature))
    .map((entry) => ({feature: entry.feature, fit: fit(entry)}))
    .sort((a, b) => b.fit - a.fit).slice(0, count);
  return found.filter((one) => one.fit >= Math.max(floor, 0.75 * found[0].fit))
    .map(({feature}) => feature);
}
