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

// The names most like the query, by shared triples of letters (Dice's coefficient).
function nearest(index, query, count, among = () => true) {
  const asked = trigrams(plain(query));
  const likeness = ({text}) => {
    const own = trigrams(text);
    const shared = [...asked].filter((triple) => own.has(triple)).length;
    return 2 * shared / (asked.size + own.size);
  };
  return index.filter(({feature}) => among(feature))
    .map((entry) => ({feature: entry.feature, likeness: likeness(entry)}))
    .sort((a, b) => b.likeness - a.likeness)
    .slice(0, count)
    .map(({feature}) => feature);
}
