// Every action of the window, once: the keys, the palette and the help sheet read the same list.
import { untrack } from "svelte";
import { tinykeys } from "tinykeys";

export interface Command {
  id: string;
  title: string;
  group: string;
  /** In tinykeys' form; shown as written in `shown`. */
  keys?: string;
  shown?: string;
  run: () => void;
  /** Also while somebody types or a dialog asks. */
  always?: boolean;
  enabled?: () => boolean;
}

class Registry {
  private map = $state.raw<ReadonlyMap<string, Command>>(new Map());

  get all(): Command[] {
    return [...this.map.values()];
  }

  /** Adds commands for as long as the caller lives; returns what takes them away again. */
  add(commands: Command[]): () => void {
    // Whoever adds must not come to depend on what is there: an effect that adds would run for ever.
    this.map = new Map([...untrack(() => this.map), ...commands.map((c) => [c.id, c] as const)]);
    return () => {
      const rest = new Map(untrack(() => this.map));
      for (const c of commands) if (rest.get(c.id) === c) rest.delete(c.id);
      this.map = rest;
    };
  }

  /** Listens on the window. Most keys are not taken while somebody types or a dialog asks. */
  listen(): () => void {
    let off = () => {};
    const bind = () => {
      off();
      const bindings: Record<string, (e: KeyboardEvent) => void> = {};
      for (const c of this.map.values()) {
        for (const key of c.keys?.split("|") ?? []) {
          bindings[key] = (e) => {
            const typing = e.target instanceof HTMLElement && e.target.matches("input, textarea, select");
            if ((typing || document.querySelector("dialog[open]")) && !c.always) return;
            if (c.enabled && !c.enabled()) return;
            e.preventDefault();
            c.run();
          };
        }
      }
      off = tinykeys(window, bindings);
    };
    const stop = $effect.root(() => {
      $effect(bind);
    });
    return () => {
      stop();
      off();
    };
  }
}

export const commands = new Registry();
