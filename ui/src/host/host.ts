// What the page may ask of the world: the commands of the shell, as `bindings.ts` has them from Rust, with answers in
// place of results and functions in place of channels. `tauri.ts` is its one implementation.
import type { commands } from "./bindings";

export type * from "./bindings";

type Commands = typeof commands;

/** What comes of a command that worked; one that did not throws what `sentence` reads. */
type Answer<R> = R extends { status: "ok"; data: infer T } ? T : R extends { status: "error"; error: unknown } ? never : R;

/** A channel is given as the function that hears what comes over it. */
type Given<A> = A extends { onmessage: (message: infer T) => void } ? (message: T) => void : A;

type Asked<F> = F extends (...given: infer A) => Promise<infer R> ? (...given: { [K in keyof A]: Given<A[K]> }) => Promise<Answer<R>> : never;

export type Host = { [K in keyof Commands]: Asked<Commands[K]> };

/** What went wrong, as a sentence. */
export function sentence(e: unknown): string {
  if (typeof e === "object" && e !== null && "message" in e && typeof e.message === "string") return e.message;
  return typeof e === "string" ? e : "It did not work, and nothing said why.";
}
