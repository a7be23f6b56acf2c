import { describe, expect, it } from "vitest";
import { action, age, bytes, hours, kind, short, visible } from "./format";

describe("format", () => {
  it("shows what hides or reorders text as escapes (t4)", () => {
    expect(visible("exe.\u202efdp")).toBe("exe.\\u{202e}fdp");
    expect(visible("a\u200bb\u001b[31m")).toBe("a\\u{200b}b\\u{1b}[31m");
    expect(visible("plain Ünïcode 日本 🙂")).toBe("plain Ünïcode 日本 🙂");
  });

  it("says numbers and ages in few characters", () => {
    expect([short(999), short(4821), short(48_201), short(48_201_977)]).toEqual(["999", "4.8 k", "48 k", "48.2 M"]);
    expect([age(0, 59_000), age(0, 3_599_000), age(0, 86_399_000), age(0, 200_000_000)]).toEqual(["59s", "59m", "23h", "2d"]);
    expect(bytes(2_826_328)).toBe("2.8 MB");
    expect([hours(0), hours(59_001), hours(72 * 3_600_000), hours(71 * 3_600_000 + 3_599_000)]).toEqual(["0:00:00", "0:01:00", "72:00:00", "71:59:59"]);
  });

  it("has words for names of rules and actions, known or not", () => {
    expect(kind("BRUTE_FORCE_ATTACK")).toBe("Brute force attack");
    expect(action("something_new")).toBe("something new");
  });
});
