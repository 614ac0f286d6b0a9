// RecoNet's arithmetic, beside the equations of §4.1 and §4.3. Nothing here knows of a page.

// A row of Q or W arrives as 16-bit whole numbers n and one scale s; its entries are s n.
function bytes(base64) {
  return Uint8Array.from(atob(base64), (c) => c.charCodeAt(0)).buffer;
}

function rows(packed, d) {
  const n = new Int16Array(bytes(packed.numbers));
  const scales = new Float32Array(bytes(packed.scales));
  const row = (s, k) => Float32Array.from(n.subarray(k * d, (k + 1) * d), (value) => s * value);
  return Array.from(scales, row);
}

function unpack(shipped) {
  const model = {...shipped, Q: rows(shipped.Q, shipped.d), W: rows(shipped.W, shipped.d)};
  model.reference = new Float32Array(bytes(shipped.reference));
  model.meanW = weightedSum(model.W, model.W.map(() => 1 / model.W.length));
  model.meanX = weightedSum(model.Q, model.reference);
  return model;
}

const dot = (a, b) => a.reduce((sum, value, i) => sum + value * b[i], 0);
const minus = (a, b) => Float64Array.from(a, (value, i) => value - b[i]);

function weightedSum(vectors, weights) {
  const sum = new Float64Array(vectors[0].length);
  vectors.forEach((vector, k) => vector.forEach((value, i) => { sum[i] += weights[k] * value; }));
  return sum;
}

// FS_u: what was chosen, and the attributes that the chosen items bring.
function profileOf(model, chosen) {
  const brought = chosen.flatMap((k) => model.brings[k] ?? []);
  return [...new Set([...chosen, ...brought])].sort((a, b) => a - b);
}

// x_u = Q I_u / |FS_u|
function pool(model, profile) {
  if (!profile.length) return new Float64Array(model.d);
  return weightedSum(profile.map((k) => model.Q[k]), profile.map(() => 1 / profile.length));
}

// y = W x; or, compared with the average household and item, (W - mean W) (x - mean x).
function scores(model, profile, compared) {
  if (!compared) {
    const x = pool(model, profile);
    return model.W.map((w) => dot(x, w));
  }
  const x = minus(pool(model, profile), model.meanX);
  const average = dot(x, model.meanW);
  return model.W.map((w) => dot(x, w) - average);
}

// All items that the profile lacks, best first.
function ranked(model, profile, compared) {
  const owned = new Set(profile);
  return scores(model, profile, compared)
    .map((score, item) => ({item, score}))
    .filter(({item}) => !owned.has(item))
    .sort((a, b) => b.score - a.score);
}

// Z_k = W_j . q_k / |FS_u|, for the features of the profile.
function plainRelevance(model, profile, j) {
  return profile.map((k) =>
    ({feature: k, word: "", z: dot(model.Q[k], model.W[j]) / profile.length}));
}

// Z_k = (W_j - mean W) . q_k (I_u(k) / |FS_u| - average share of k), for all features there are.
// The word says whether the profile lacks feature k, or has less of it than the average.
function personalRelevance(model, profile, j) {
  const own = new Set(profile);
  const w = minus(model.W[j], model.meanW);
  return model.Q.map((q, k) => {
    const share = own.has(k) ? Math.fround(1 / profile.length) : 0;
    const more = share - model.reference[k];
    const word = own.has(k) ? (more < 0 ? "less " : "") : "no ";
    return {feature: k, word, z: dot(q, w) * more};
  });
}

// Why item j? Or, with a rival: why j rather than the rival? Two sums over the same features; the
// answer is their difference, term by term.
function relevance(model, profile, {j, rival, compared}) {
  const terms = compared ? personalRelevance : plainRelevance;
  const own = terms(model, profile, j);
  if (rival === undefined) return own;
  const other = terms(model, profile, rival);
  return own.map((term, n) => ({...term, z: term.z - other[n].z}));
}

function kind(model, feature) {
  if (feature < model.items) return "product";
  return feature < model.own ? "attribute of products" : "about the household";
}
