// The page's words in the languages it speaks. A language is one file in words/.
import en from "../words/en.json";
import es from "../words/es.json";

export type Word = keyof typeof en;
export type Language = "en" | "es";

const WORDS: Record<Language, Record<Word, string>> = { en, es };
let language: Language = "en";

export function speak(chosen: Language): void {
  language = chosen;
  document.documentElement.lang = chosen;
  document.title = say("title");
}

export function spoken(): Language {
  return language;
}

/** The words for `key`, with `{name}` replaced by what `given` has of that name. */
export function say(key: Word, given: Record<string, string | number> = {}): string {
  return WORDS[language][key].replace(/\{(\w+)\}/g, (whole, name: string) => {
    const value = given[name];
    return value === undefined ? whole : typeof value === "number" ? number(value) : value;
  });
}

export function number(value: number, digits = 0): string {
  return new Intl.NumberFormat(language, { maximumFractionDigits: digits }).format(value);
}

export function months(): string[] {
  return say("months").split(",");
}
