// Understanding a question, and the sentence that answers it. Speech and text share both.

const ASKED = [
  ["clear", /^(?:clear|start (?:again|over)|(?:remove|clear) (?:everything|all))()$/],
  ["why not", /^why (?:is|was|are|were) (.*?) not (?:recommended|suggested|offered)$/],
  ["why not", /^why (?:not|(?:dont|do not|didnt|wont|isnt)(?: you)?|do you not)\b ?(.*)$/],
  ["why", /^why (?:do|did|would|should|are) (?:you|i|we)\b ?(.*)$/],
  ["why", /^(?:why|explain)\b(?: (?:is|was|are|were)\b)? ?(.*)$/],
  ["remove", /^(?:remove|drop|delete|forget|without|take away|take out) (.+)$/],
  ["add", /^(?:add|buy|take|put in|with|(?:i|we) (?:buy|bought|like)) (.+)$/],
];
const THIS = /^(?:(?:this|that|it|the)(?: (?:product|item|one|movie|film|recommendation))?)?$/;
const VERB = /^(?:recommend|suggest|offer|show|buy|take)(?:ing|ed)?(?: |$)/;
const TAIL = /(?:^| )(?:to (?:me|us)|recommended|suggested|offered)$/;

// {act, name}: what to do and with what; an empty name means the product that is shown.
function understand(text) {
  const said = plain(text).replace(/^please /, "");
  for (const [act, pattern] of ASKED) {
    const name = said.match(pattern)?.[1].replace(VERB, "").replace(TAIL, "");
    if (name !== undefined) return {act, name: THIS.test(name) ? "" : name.replace(/^the /, "")};
  }
  return {act: null, name: said};
}

const amount = (value) => Math.abs(value).toFixed(2);
const signed = (value) => (value < 0 ? "\u2212" : "+") + amount(value);

function listed(parts) {
  return parts.length < 2 ? parts.join("") : `${parts.slice(0, -1).join(", ")} and ${parts.at(-1)}`;
}

// One or two sentences: what is read out, and what a screen reader is told.
function sentence({title, rank, count, score, compared, flows}) {
  const named = (sign, most) => listed(flows.filter((flow) => !flow.rest && sign * flow.z > 0)
    .slice(0, most).map((flow) => `${flow.name} (${amount(flow.z)})`));
  const place = `number ${rank} of ${count.toLocaleString("en")}`;
  const moves = score < 0 ? "falls" : "rises";
  const first = compared
    ? `Compared with the average household and product, ${title} ${moves} by ${amount(score)}: `
      + `${place}.`
    : `${title} is ${place}, with a score of ${score < 0 ? "minus " : ""}${amount(score)}.`;
  const reasons = [["For it: ", named(1, 3)], ["against it: ", named(-1, 2)]]
    .filter(([, names]) => names).map(([word, names]) => word + names).join("; ");
  return reasons ? `${first} ${reasons[0].toUpperCase()}${reasons.slice(1)}.` : first;
}
