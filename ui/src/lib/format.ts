// How things are said: numbers, times, spans.
import { locale } from "./locale";

const whole = new Intl.NumberFormat(locale, { maximumFractionDigits: 0 });
const one = new Intl.NumberFormat(locale, { minimumFractionDigits: 1, maximumFractionDigits: 1 });

export const count = (n: number): string => whole.format(n);
export const perSecond = (n: number): string => (n < 10 ? one.format(n) : whole.format(n));

/** 4821 as "4.8 k", for places without room. */
export function short(n: number): string {
  if (n < 1000) return whole.format(n);
  if (n < 1_000_000) return `${n < 10_000 ? one.format(n / 1000) : whole.format(n / 1000)} k`;
  return `${one.format(n / 1_000_000)} M`;
}

export function bytes(n: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let i = 0;
  while (n >= 1000 && i < units.length - 1) {
    n /= 1000;
    i++;
  }
  return `${i === 0 ? whole.format(n) : one.format(n)} ${units[i]}`;
}

const clockFormat = new Intl.DateTimeFormat(locale, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const fullFormat = new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "long" });
const dayFormat = new Intl.DateTimeFormat(locale, { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", hourCycle: "h23" });

/** 14:13:57.555, as rows show it. */
export const clockMs = (ms: number): string => `${clockFormat.format(ms)}.${String(Math.floor(ms) % 1000).padStart(3, "0")}`;
export const clock = (ms: number): string => clockFormat.format(ms);
/** With the date when it is not today's. */
export const moment = (ms: number, now = Date.now()): string => (new Date(ms).toDateString() === new Date(now).toDateString() ? clockFormat.format(ms) : dayFormat.format(ms));
export const full = (ms: number): string => fullFormat.format(ms);

/** 12m, 3h, 2d: how long ago. */
export function age(ms: number, now: number): string {
  const s = Math.max(0, Math.floor((now - ms) / 1000));
  if (s < 60) return `${s}s`;
  if (s < 3600) return `${Math.floor(s / 60)}m`;
  if (s < 86_400) return `${Math.floor(s / 3600)}h`;
  return `${Math.floor(s / 86_400)}d`;
}

/** 06:12 or 1:06:12: until a moment; what has passed counts as now. */
export function countdown(ms: number, now: number): string {
  const s = Math.max(0, Math.ceil((ms - now) / 1000));
  const two = (n: number) => String(n).padStart(2, "0");
  return s < 3600 ? `${two(Math.floor(s / 60))}:${two(s % 60)}` : s < 86_400 ? `${Math.floor(s / 3600)}:${two(Math.floor(s / 60) % 60)}:${two(s % 60)}` : `${Math.floor(s / 86_400)} d ${Math.floor(s / 3600) % 24} h`;
}

/** 71:59:03, however many hours: for the 72 of a breach. */
export function hours(ms: number): string {
  const s = Math.max(0, Math.ceil(ms / 1000));
  const two = (n: number) => String(n).padStart(2, "0");
  return `${Math.floor(s / 3600)}:${two(Math.floor(s / 60) % 60)}:${two(s % 60)}`;
}

/** A span in words, for sentences. */
export function span(ms: number): string {
  const s = Math.round(ms / 1000);
  if (s < 1) return "under a second";
  if (s < 90) return `${s} s`;
  if (s < 5400) return `${Math.round(s / 60)} min`;
  if (s < 172_800) return `${Math.round(s / 3600)} h`;
  return `${Math.round(s / 86_400)} d`;
}

const DECEPTIVE = /[\p{Cc}\p{Cf}\u2028\u2029\u115f\u1160\u3164\uffa0\ufe00-\ufe0f]|[\u{e0100}-\u{e01ef}]/gu;

/** Characters that hide or reorder text, made visible (threat T4). */
export const visible = (text: string): string => text.replace(DECEPTIVE, (c) => `\\u{${(c.codePointAt(0) ?? 0).toString(16)}}`);

const kinds: Record<string, string> = {
  FEED_SILENT: "Feed silent",
  INCIDENT_STORM: "Storm of incidents",
  SQL_INJECTION_ATTEMPT: "SQL injection",
  XSS_ATTEMPT: "Cross-site scripting",
  UNAUTHORIZED_PII_EXPORT: "Unauthorised export of personal data",
  UNAUTHORIZED_DEPLOYMENT: "Unauthorised deployment",
  CSRF_FAILURES: "CSRF checks fail",
  IDOR_ATTEMPT: "Records of others asked for",
  MFA_DISABLED: "Second factor switched off",
  PIN_GUESSING: "PINs are guessed",
  IP_BANNED: "Address banned",
  API_KEY_CREATED: "API key created",
  API_KEY_REVOKED: "API key revoked",
  API_KEY_ABUSE: "API key in many hands",
};

/** BRUTE_FORCE_ATTACK as "Brute force attack". */
export const kind = (k: string): string => kinds[k] ?? visible(k.charAt(0) + k.slice(1).toLowerCase().replaceAll("_", " "));

/** Response actions as a person would write them on a list. */
const actions: Record<string, string> = {
  block_ip_30m: "Block the address for 30 minutes",
  notify_security: "Tell the security team",
  monitor: "Watch for more of it",
  notify_user: "Tell the user",
  check_legitimate: "Find out whether it was the user",
  provide_unlock: "Give the user a way to unlock",
  activate_incident_response: "Start incident response",
  enable_ip_blocking: "Switch address blocking on",
  notify_affected_users: "Tell the affected users",
  log_attempt: "Record the details of the attempt",
  review_account: "Look through the account",
  consider_suspension: "Consider suspending the account",
  suspend_account: "Suspend the account",
  review_access: "Look through what was accessed",
  block_export: "Stop the export",
  review_export: "Look at what was exported",
  investigate_intent: "Find out why",
  block_user: "Block the user",
  review_queries: "Look through recent queries",
  check_compromise: "Check whether data was reached",
  review_requests: "Look through the requests",
  check_feed: "Check the feed and its server",
  block_ip: "Block the address",
  require_mfa: "Require a second factor",
  end_sessions: "End the sessions",
  revoke_key: "Revoke the key",
  check_query: "Find out whether the query is meant",
  find_connections: "Find out who holds the connections",
  scale_database: "Give the database more room",
  review_logs: "Look through the logs",
  roll_back: "Go back to the version before",
  review_deployment: "Look through what was deployed",
  check_leaks: "Look for a leak",
  scale: "Give it more room",
  free_disk: "Free some disk",
  renew_certificate: "Renew the certificate",
  run_backup: "Run the backup again",
  check_credentials: "Check the credentials",
  read_notice: "Read the vendor's notice",
  check_affected: "Find out whether our data are among it",
  rotate_credentials: "Change every credential of that vendor",
  check_impact: "Find out what depends on it",
  fail_over: "Switch to the replacement",
};
export const action = (a: string): string => actions[a] ?? visible(a.replaceAll("_", " "));
