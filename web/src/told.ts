// Sentences that the server writes, in the language of the page. The server's are English; each other
// language has one file of them, whose keys are those sentences with `{name}` where a value stands.
import esAnswers from "../words/es_answers.json";
import { number, spoken, type Language } from "./words";

type Sentence = [pattern: RegExp, names: string[], words: string];
const ANSWERS: { [language in Language]?: { [sentence: string]: string } } = { es: esAnswers };
const compiled = new Map<Language, Sentence[]>();

function sentences(language: Language): Sentence[] {
  let known = compiled.get(language);
  if (!known) {
    known = Object.entries(ANSWERS[language] ?? {}).map(([sentence, words]) => {
      const names = [...sentence.matchAll(/\{(\w+)\}/g)].map((found) => found[1] ?? "");
      const parts = sentence.split(/\{\w+\}/).map((part) => part.replace(/[.*+?^$()[\]{}|\\]/g, "\\$&"));
      return [new RegExp(`^${parts.join("(.+?)")}$`, "s"), names, words];
    });
    compiled.set(language, known);
  }
  return known;
}

/** The sentence in the page's language; as it is where that language has no words for it. */
export function told(sentence: string): string {
  if (/^[\d,]+$/.test(sentence)) return number(Number(sentence.replaceAll(",", "")));
  for (const [pattern, names, words] of sentences(spoken())) {
    const found = pattern.exec(sentence);
    if (!found) continue;
    const values = new Map(names.map((name, index) => [name, told(found[index + 1] ?? "")]));
    return words.replace(/\{(\w+)\}/g, (whole, name: string) => values.get(name) ?? whole);
  }
  return sentence;
}
