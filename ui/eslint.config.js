import svelte from "eslint-plugin-svelte";
import ts from "typescript-eslint";

const hostOnly = { patterns: [{ group: ["@tauri-apps/*"], message: "only src/host/tauri.ts talks to the shell" }] };
const noMarkup = [
  { selector: "MemberExpression[property.name=/^(innerHTML|outerHTML|insertAdjacentHTML)$/]", message: "event text is hostile: text nodes only (threat T1)" },
  { selector: "CallExpression[callee.name='eval'], NewExpression[callee.name='Function']", message: "no code from text" },
];

export default ts.config(
  { ignores: ["dist", "src/host/bindings.ts"] },
  ...ts.configs.recommended,
  ...svelte.configs.recommended,
  { files: ["**/*.svelte", "**/*.svelte.ts"], languageOptions: { parserOptions: { parser: ts.parser } } },
  {
    rules: {
      "no-restricted-imports": ["error", hostOnly],
      "no-restricted-syntax": ["error", ...noMarkup],
      "svelte/no-at-html-tags": "error",
      // Rows are recycled slots on purpose: keying by event id costs five times the script.
      "svelte/require-each-key": "off",
      "svelte/prefer-svelte-reactivity": "off",
    },
  },
  { files: ["src/host/tauri.ts"], rules: { "no-restricted-imports": "off" } },
);
