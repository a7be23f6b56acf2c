// Words of the privacy rooms.
import type { Field } from "../features/Form.svelte";
import type { BreachView, Identifier, RequestView } from "../host/host";
import { visible } from "./format";

export const kinds: Record<string, string> = { access: "Access", rectification: "Rectification", deletion: "Deletion", portability: "Portability", restriction: "Restriction", objection: "Objection" };

export const states: Record<string, string> = {
  received: "Received", identity_check: "Identity check", in_progress: "In progress", needs_input: "Subject was asked", executed: "Executed, answer owed", completed: "Completed", refused: "Refused", withdrawn: "Withdrawn", duplicate: "Duplicate",
  suspected: "Suspected", aware: "Known", notified: "Notified", not_notifiable: "Not notifiable", dismissed: "No breach", closed: "Closed",
};

export const identifier = (i: Identifier): string => `${i.kind === "user_id" ? "user" : i.kind} ${visible(i.value)}`;
export const who = (all: Identifier[]): string => (all.length ? all.map(identifier).join(", ") : "erased");

/** How long until a request is due, as a row says it. */
export function left(r: RequestView): string {
  if (!r.open) return "";
  if (r.clock_stopped) return "clock stopped";
  if (r.late) return `${-r.days_left} d late`;
  return r.days_left === 0 ? "today" : r.days_left === 1 ? "tomorrow" : `${r.days_left} d`;
}

/** How urgent, as one of the four severities. */
export const urgency = (r: RequestView): string => (!r.open ? "P4" : r.late ? "P1" : r.days_left <= 2 ? "P2" : r.days_left <= 7 ? "P3" : "P4");

export const HOURS_72 = 72 * 3_600_000;
/** Of the 72 hours, how much has passed. */
export const passed = (b: BreachView, now: number): number => (b.due == null ? 0 : Math.min(1, Math.max(0, 1 - (b.due - now) / HOURS_72)));

export const exemptions: { id: string; name: string }[] = [
  { id: "", name: "No exemption: the subjects are told" },
  { id: "no_high_risk", name: "No high risk (Art. 34(1))" },
  { id: "unintelligible", name: "The data is unintelligible, as by encryption (34(3)(a))" },
  { id: "measures_taken", name: "Later measures removed the high risk (34(3)(b))" },
  { id: "public_communication", name: "Disproportionate effort: a public communication (34(3)(c))" },
];

/** What Art. 33(3) asks for. */
export const contents: { id: "nature" | "subject_categories" | "subjects" | "record_categories" | "records" | "contact" | "consequences" | "measures"; label: string; area?: boolean }[] = [
  { id: "nature", label: "(a) What happened", area: true },
  { id: "subject_categories", label: "(a) Whose data: categories" },
  { id: "subjects", label: "(a) About how many persons" },
  { id: "record_categories", label: "(a) Which records: categories" },
  { id: "records", label: "(a) About how many records" },
  { id: "contact", label: "(b) Contact point" },
  { id: "consequences", label: "(c) Likely consequences", area: true },
  { id: "measures", label: "(d) Measures taken or proposed", area: true },
];

export const second = (approvers: string[]): Field[] => [
  { id: "approver", label: "Who approves", kind: "choice", options: approvers.map((a) => ({ id: a, name: a })), required: true },
  { id: "code", label: "The code their authenticator shows now", kind: "code", required: true },
];
