// What the page may ask of the world. The native shell (`tauri.ts`) is its one implementation.
import type * as B from "./bindings";

export type * from "./bindings";

export interface Host {
  console(): Promise<B.ConsoleView>;
  retryStart(): Promise<B.ConsoleView>;
  recover(key: string): Promise<B.ConsoleView>;
  showRecoveryKey(): Promise<void>;
  watchTicks(on: (tick: B.TickView) => void): Promise<void>;
  overview(): Promise<B.OverviewView>;
  pullLive(after: number, limit: number, query: string): Promise<B.LiveView>;
  searchEvents(query: string, since: number | null, after: string | null, limit: number, on: (p: B.SearchProgress) => void): Promise<B.EventPage>;
  cancelSearch(): Promise<void>;
  event(seq: number): Promise<B.EventDetail>;
  rates(minutes: number, buckets: number): Promise<B.RateView[]>;
  incidents(tab: string, text: string): Promise<B.IncidentList>;
  incident(id: string): Promise<B.IncidentDetail>;
  act(ids: string[], action: B.Action): Promise<B.Acted[]>;
  silences(): Promise<B.SilenceView[]>;
  previewSilence(matcher: B.MatcherView): Promise<B.IncidentView[]>;
  addSilence(matcher: B.MatcherView, reason: string, length: string): Promise<B.SilenceView[]>;
  endSilence(id: string): Promise<B.SilenceView[]>;
  onCall(): Promise<B.OnCallView[]>;
  readiness(): Promise<B.ReadinessView>;
  addOverride(schedule: string, person: string, from: number, to: number): Promise<void>;
  channels(): Promise<B.ChannelView[]>;
  testChannel(name: string): Promise<B.ReceiptView[]>;
  drill(): Promise<B.ReceiptView[]>;
  metrics(since: string): Promise<B.MetricsView>;
  feeds(): Promise<B.FeedsView>;
  testFeed(name: string): Promise<B.ProbeView>;
  restartFeed(name: string): Promise<void>;
  addFeed(name: string, url: string, mapping: string): Promise<void>;
  tryDemo(): Promise<void>;
  health(): Promise<B.HealthView>;
  verifyAudit(): Promise<B.AuditVerdict>;
  privacyBoard(): Promise<B.PrivacyBoard>;
  privacyAct(action: B.PrivacyAction): Promise<number | null>;
  findSubject(identifiers: string[], on: (p: B.SearchProgress) => void): Promise<B.SubjectView>;
  retention(): Promise<B.RetentionView>;
  job(): Promise<B.JobView | null>;
  cancelJob(): Promise<void>;
  previewReport(wanted: B.ReportWanted): Promise<B.ReportPreview>;
  makeReport(wanted: B.ReportWanted): Promise<B.KeptReport>;
  reports(): Promise<B.KeptReport[]>;
  saveExport(name: string): Promise<void>;
  saveList(list: string): Promise<void>;
  auditEntries(query: string, before: number | null): Promise<B.AuditPage>;
  auditProof(index: number): Promise<B.ProofView>;
  hideWindow(): Promise<void>;
  quit(): Promise<void>;
}

/** What went wrong, as a sentence. */
export function sentence(e: unknown): string {
  if (typeof e === "object" && e !== null && "message" in e && typeof e.message === "string") return e.message;
  return typeof e === "string" ? e : "It did not work, and nothing said why.";
}
