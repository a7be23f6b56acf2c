import { expect, test, vi } from "vitest";

const { invoke } = vi.hoisted(() => ({ invoke: vi.fn<(command: string, given?: Record<string, unknown>) => Promise<unknown>>() }));
vi.mock("@tauri-apps/api/core", () => ({
  invoke,
  Channel: class {
    onmessage: (message: unknown) => void = () => undefined;
  },
}));

import { tauri } from "./tauri";

test("the answer of a command is what it gave, and a refusal is thrown", async () => {
  invoke.mockResolvedValueOnce({ state: "starting" });
  expect(await tauri.console()).toEqual({ state: "starting" });
  invoke.mockResolvedValueOnce([{ name: "slack" }]);
  expect(await tauri.channels()).toEqual([{ name: "slack" }]);
  invoke.mockRejectedValueOnce({ code: "refused", message: "not now" });
  await expect(tauri.drill()).rejects.toEqual({ code: "refused", message: "not now" });
});

test("arguments go by their names, and a function hears what comes over its channel", async () => {
  const heard: unknown[] = [];
  invoke.mockImplementationOnce((_, given) => {
    (given?.progress as { onmessage: (m: unknown) => void }).onmessage("half");
    return Promise.resolve({ rows: [] });
  });
  await tauri.searchEvents("failed", null, null, 10, (p) => heard.push(p));
  expect(invoke).toHaveBeenLastCalledWith("search_events", expect.objectContaining({ query: "failed", since: null, limit: 10 }));
  expect(heard).toEqual(["half"]);
});
