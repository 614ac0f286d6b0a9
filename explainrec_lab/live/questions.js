// Understanding a question, and the sentence that answers it. Speech and text share both.

const ASKED = [
  ["clear", /^(?:clear|start (?:again|over)|(?:remove|clear) (?:everything|all))()$/],
  ["why not", /^why (?:is|was|are|were) (.*?) not (?:recommended|suggested|offered)$/],
  ["why not", /^why (?:not|(?:dont|do not|didnt|wont|isnt)(?: you| it)?|do you not)\b ?(.*)$/],
  ["why", /^((?:rather than|instead of) .+)$/],
  ["why", /^why (?:do|did|would|should|are) (?:you|i|we)\b ?(.*)$/],
  ["why", /^(?:why|explain)\b(?: (?:is|was|are|were)\b)? ?(.*)$/],
  ["unsaid", /^(?:add|buy|take|remove|drop|delete|forget)()$/],
  ["remove", /^(?:remove|drop|delete|forget|without|take away|take out) (.+)$/],
  ["add", /^(?:add|buy|take|put in|with|(?:i|we) (?:want to )?(?:buy|bought|like)) (.+)$/],
];
const THIS = /^(?:(?:this|that|it|the)(?: (?:product|item|one|movie|film|recommendation))?)?$/;
const VERB = /^(?:recommend|suggest|offer|show|buy|take|rank|prefer)(?:ing|ed)?(?: |$)/;
const TAIL = /(?:^| )(?:to (?:me|us)|recommended|suggested|offered|ranked|better|more)$/;
const RATHER = / (?:rather than|instead of|(?:and|but) not|ahead of|before|above|over|than) /;

// {act, name, rival, whole}: what to do and with what; an empty name is the product that is shown.
// Only "why X rather than Y?" has a rival, unless the whole is a name with such a word in it.
// "Why not Y rather than X?" asks the same.
function understand(text) {
  const said = plain(text).replace(/^please /, "");
  for (const [act, pattern] of ASKED) {
    const found = said.match(pattern)?.[1];
    if (found === undefined) continue;
    const [name, rival] = (act.startsWith("why") ? ` ${found} `.split(RATHER) : [found]).map(bare);
    if (rival === undefined) return {act, name};
    const pair = act === "why" ? {name, rival} : {name: rival, rival: name};
    return {act: "why", ...pair, whole: {act, name: bare(found)}};
  }
  return {act: null, name: said};
}

function bare(words) {
  const name = words.trim().replace(VERB, "").replace(TAIL, "");
  return THIS.test(name) ? "" : name.replace(/^the /, "");
}

const amount = (value) => Math.abs(value).toFixed(2);
const signed = (value) => (value < 0 ? "\u2212" : "+") + amount(value);

function listed(parts) {
  return parts.length < 2 ? parts.join("") : `${parts.slice(0, -1).join(", ")} and ${parts.at(-1)}`;
}

// One or two sentences: what is read out, and what a screen reader is told.
function sentence({title, rank, count, score, compared, flows, rival}) {
  const named = (sign, most) => listed(flows.filter((flow) => !flow.rest && sign * flow.z > 0)
    .slice(0, most).map((flow) => `${flow.name} (${amount(flow.z)})`));
  const place = `number ${rank} of ${count.toLocaleString("en")}`;
  const moves = score < 0 ? "falls" : "rises";
  const lead = score - (rival?.score ?? 0);
  const first = rival
    ? `${title} scores ${amount(lead)} ${lead < 0 ? "less" : "more"} than ${rival.title}`
      + `${compared ? ", both compared with the average household and product" : ""}: `
      + `number ${rank} against number ${rival.rank}.`
    : compared
    ? `Compared with the average household and product, ${title} ${moves} by ${amount(score)}: `
      + `${place}.`
    : `${title} is ${place}, with a score of ${score < 0 ? "minus " : ""}${amount(score)}.`;
  const [one, other] = sides(title, rival);
  const reasons = [[`${one}: `, named(1, 3)], [`${other}: `, named(-1, 2)]]
    .filter(([, names]) => names).map(([word, names]) => word + names).join("; ");
  return reasons ? `${first} ${reasons[0].toUpperCase()}${reasons.slice(1)}.` : first;
}

// What the two signs of a relevance speak for.
function sides(title, rival) {
  return rival ? [`for ${title}`, `for ${rival.title}`] : ["for it", "against it"];
}
