// The native shell. The only file that knows it.
import { Channel } from "@tauri-apps/api/core";
import { commands } from "./bindings";
import type { Host } from "./host";

type Command = (...given: unknown[]) => Promise<unknown>;

/** Functions become channels, and a result its answer. */
function asked(command: Command): Command {
  return async (...given) => {
    const answer = await command(...given.map((a) => (typeof a === "function" ? channel(a as (message: unknown) => void) : a)));
    if (typeof answer !== "object" || answer === null || !("status" in answer)) return answer;
    if (answer.status === "ok" && "data" in answer) return answer.data;
    if (answer.status === "error" && "error" in answer) throw answer.error;
    return answer;
  };
}

function channel(on: (message: unknown) => void): Channel<unknown> {
  const c = new Channel<unknown>();
  c.onmessage = on;
  return c;
}

export const tauri = Object.fromEntries(Object.entries(commands).map(([name, command]) => [name, asked(command as unknown as Command)])) as unknown as Host;
