// The native shell. The only file that knows it.
import { Channel, invoke } from "@tauri-apps/api/core";
import type { Host, SearchProgress, TickView } from "./host";

function channel<T>(on: (message: T) => void): Channel<T> {
  const c = new Channel<T>();
  c.onmessage = on;
  return c;
}

export const tauri: Host = {
  console: () => invoke("console"),
  retryStart: () => invoke("retry_start"),
  recover: (key) => invoke("recover", { key }),
  showRecoveryKey: () => invoke("show_recovery_key"),
  watchTicks: (on) => invoke("watch_ticks", { ticks: channel<TickView>(on) }),
  overview: () => invoke("overview"),
  pullLive: (after, limit, query) => invoke("pull_live", { after, limit, query }),
  searchEvents: (query, since, after, limit, on) => invoke("search_events", { query, since, after, limit, progress: channel<SearchProgress>(on) }),
  cancelSearch: () => invoke("cancel_search"),
  event: (seq) => invoke("event", { seq }),
  rates: (minutes, buckets) => invoke("rates", { minutes, buckets }),
  incidents: (tab, text) => invoke("incidents", { tab, text }),
  incident: (id) => invoke("incident", { id }),
  act: (ids, action) => invoke("act", { ids, action }),
  silences: () => invoke("silences"),
  previewSilence: (matcher) => invoke("preview_silence", { matcher }),
  addSilence: (matcher, reason, length) => invoke("add_silence", { matcher, reason, length }),
  endSilence: (id) => invoke("end_silence", { id }),
  onCall: () => invoke("on_call"),
  readiness: () => invoke("readiness"),
  addOverride: (schedule, person, from, to) => invoke("add_override", { schedule, person, from, to }),
  channels: () => invoke("channels"),
  testChannel: (name) => invoke("test_channel", { name }),
  drill: () => invoke("drill"),
  metrics: (since) => invoke("metrics", { since }),
  feeds: () => invoke("feeds"),
  testFeed: (name) => invoke("test_feed", { name }),
  restartFeed: (name) => invoke("restart_feed", { name }),
  addFeed: (name, url, mapping) => invoke("add_feed", { name, url, mapping }),
  tryDemo: () => invoke("try_demo"),
  health: () => invoke("health"),
  verifyAudit: () => invoke("verify_audit"),
  privacyBoard: () => invoke("privacy_board"),
  privacyAct: (action) => invoke("privacy_act", { action }),
  findSubject: (identifiers, on) => invoke("find_subject", { identifiers, progress: channel<SearchProgress>(on) }),
  retention: () => invoke("retention"),
  job: () => invoke("job"),
  cancelJob: () => invoke("cancel_job"),
  previewReport: (wanted) => invoke("preview_report", { wanted }),
  makeReport: (wanted) => invoke("make_report", { wanted }),
  reports: () => invoke("reports"),
  saveExport: (name) => invoke("save_export", { name }),
  saveList: (list) => invoke("save_list", { list }),
  auditEntries: (query, before) => invoke("audit_entries", { query, before }),
  auditProof: (index) => invoke("audit_proof", { index }),
  hideWindow: () => invoke("hide_window"),
  quit: () => invoke("quit"),
};
