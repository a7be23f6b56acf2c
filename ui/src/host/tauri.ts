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
  incidents: (state) => invoke("incidents", { state }),
  incident: (id) => invoke("incident", { id }),
  acknowledge: (id, note) => invoke("acknowledge", { id, note }),
  resolve: (id, verdict, note) => invoke("resolve", { id, verdict, note }),
  reopen: (id, note) => invoke("reopen", { id, note }),
  addNote: (id, text) => invoke("add_note", { id, text }),
  feeds: () => invoke("feeds"),
  testFeed: (name) => invoke("test_feed", { name }),
  restartFeed: (name) => invoke("restart_feed", { name }),
  addFeed: (name, url, mapping) => invoke("add_feed", { name, url, mapping }),
  tryDemo: () => invoke("try_demo"),
  health: () => invoke("health"),
  verifyAudit: () => invoke("verify_audit"),
  hideWindow: () => invoke("hide_window"),
  quit: () => invoke("quit"),
};
