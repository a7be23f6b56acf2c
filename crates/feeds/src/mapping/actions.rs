//! What people call the same thing. Rules know one name for each action; shapes have several.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::LazyLock;

/// Our word, and what else it is called: in lower case, with `_` between words, without what [`plain`] takes off.
const CALLED: &[(&str, &[&str])] = &[
    (
        "login_failed",
        &[
            "failed_login",
            "login_failure",
            "login_fail",
            "login_error",
            "logon_failed",
            "logon_failure",
            "signin_failed",
            "sign_in_failed",
            "user_login_failed",
            "auth_failed",
            "auth_failure",
            "authentication_failed",
            "authentication_failure",
            "invalid_login",
            "invalid_credentials",
            "bad_credentials",
            "wrong_password",
        ],
    ),
    (
        "login_success",
        &[
            "login_succeeded",
            "login_ok",
            "login_successful",
            "successful_login",
            "logged_in",
            "user_logged_in",
            "user_login_success",
            "logon_success",
            "signin_success",
            "sign_in_success",
            "auth_success",
            "authentication_success",
            "authentication_succeeded",
        ],
    ),
    (
        "account_locked",
        &[
            "lockout",
            "locked_out",
            "account_lockout",
            "account_locked_out",
            "account_lock",
            "user_locked",
            "user_lockout",
            "user_locked_out",
            "user_account_locked",
        ],
    ),
    ("account_unlocked", &["unlocked", "user_unlocked", "account_unlock"]),
    ("lockout_attempt_while_locked", &["login_while_locked", "lockout_while_locked"]),
    (
        "password_reset",
        &[
            "password_reset_requested",
            "password_reset_request",
            "reset_password",
            "forgot_password",
            "password_resets",
            "password_forgotten",
        ],
    ),
    ("password_changed", &["password_change", "change_password", "password_updated"]),
    ("mfa_disabled", &["mfa_removed", "mfa_turned_off", "2fa_disabled", "two_factor_disabled", "totp_disabled"]),
    ("mfa_enabled", &["2fa_enabled", "two_factor_enabled", "totp_enabled"]),
    ("invalid_token", &["invalid_tokens", "token_invalid", "token_rejected", "jwt_invalid", "invalid_jwt"]),
    (
        "csrf_failed",
        &[
            "csrf",
            "csrf_error",
            "csrf_failure",
            "csrf_validation_error",
            "csrf_validation_failed",
            "csrf_token_mismatch",
        ],
    ),
    ("brute_force", &["bruteforce", "brute_force_login", "bruteforce_login"]),
    ("sql_injection", &["sqli", "sql_inject", "sql_injections"]),
    ("xss", &["cross_site_scripting", "xss_injection"]),
    (
        "command_injection",
        &["cmd_injection", "os_command_injection", "shell_injection", "rce", "remote_code_execution"],
    ),
    ("path_traversal", &["directory_traversal", "lfi", "local_file_inclusion", "dot_dot_slash"]),
    ("file_upload_violation", &["file_upload_violations", "malicious_upload", "forbidden_upload"]),
    ("idor", &["idor_access", "insecure_direct_object_reference"]),
    (
        "session_hijack",
        &[
            "session_hijacking",
            "session_hijacked",
            "session_hijackings",
            "session_anomaly",
            "session_anomalies",
            "session_fixation",
        ],
    ),
    ("ip_banned", &["ip_ban", "ip_bans", "ban_ip", "auto_ban", "ip_blocked", "banned"]),
    ("privilege_escalation", &["privilege_escalations", "permission_escalation"]),
    (
        "role_changed",
        &[
            "role_change",
            "role_updated",
            "role_assigned",
            "role_granted",
            "role_added",
            "roles_changed",
            "role_mutation",
        ],
    ),
    (
        "permission_changed",
        &[
            "permission_change",
            "permission_updated",
            "permission_granted",
            "permissions_changed",
            "permission_mutation",
        ],
    ),
    ("guard_changed", &["guard_change", "guard_updated"]),
    (
        "rate_limit",
        &[
            "rate_limited",
            "rate_limiting",
            "rate_limit_exceeded",
            "rate_limits",
            "throttled",
            "throttle",
            "too_many_requests",
        ],
    ),
    ("data_export", &["data_exported", "bulk_export", "export_data", "exported_data"]),
    ("deleted_record_access", &["deleted_record_accessed", "access_deleted_record", "deleted_record_viewed"]),
    ("admin_login_failed", &["failed_admin_login", "failed_admin_logins"]),
    ("deployment_failed", &["deployment_failure", "deploy_failed", "deploy_failure"]),
    ("job_failed", &["failed_job", "failed_jobs", "jobs_failed", "queue_job_failed"]),
    ("backup_failed", &["backup_failure", "failed_backup", "backup_error"]),
    ("provisioning_failed", &["provisioning_failure", "provision_failed"]),
    ("api_key_created", &["api_key_generated", "apikey_created"]),
    ("api_key_revoked", &["api_key_deactivated", "api_key_deleted", "apikey_revoked"]),
    ("pin_failed", &["pin_failure", "wrong_pin", "invalid_pin"]),
];

/// Names of the act alone: whether it succeeded stands beside it.
const LOGINS: &[&str] = &[
    "login",
    "log_in",
    "logon",
    "log_on",
    "signin",
    "sign_in",
    "user_login",
    "authentication",
    "authenticate",
    "ssh_login",
];

/// What is put after a name and changes nothing of what it says.
const AFTER: &[&str] =
    &["_attempts", "_attempt", "_attacks", "_attack", "_violations", "_violation", "_detected", "_events", "_event"];

static BY_NAME: LazyLock<HashMap<&str, &str>> =
    LazyLock::new(|| CALLED.iter().flat_map(|(ours, theirs)| theirs.iter().map(|t| (*t, *ours))).collect());
static OURS: LazyLock<std::collections::HashSet<&str>> =
    LazyLock::new(|| CALLED.iter().map(|(ours, _)| *ours).collect());

/// Our word for an action that somebody calls `said`; `None`: it is ours already, or nobody knows it.
pub fn canonical(said: &str, outcome: Option<&str>) -> Option<&'static str> {
    let name = lower(said);
    if OURS.contains(&*name) {
        return OURS.get(&*name).copied().filter(|ours| *ours != said);
    }
    if LOGINS.contains(&&*name) {
        return match outcome {
            Some("failure") => Some("login_failed"),
            Some("success") => Some("login_success"),
            _ => None,
        };
    }
    let known = |name: &str| BY_NAME.get(name).or_else(|| OURS.get(name)).copied();
    known(&name).or_else(|| AFTER.iter().find_map(|after| known(name.strip_suffix(after)?)))
}

/// Lower case, and one `_` for whatever is between words.
fn lower(said: &str) -> Cow<'_, str> {
    if said.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_') {
        return said.into();
    }
    let mut name = String::with_capacity(said.len());
    for c in said.chars() {
        if c.is_alphanumeric() {
            name.extend(c.to_lowercase());
        } else if !name.ends_with('_') {
            name.push('_');
        }
    }
    name.trim_matches('_').to_owned().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_action_is_known_by_what_people_call_it() {
        for (said, outcome, ours) in [
            ("SQL injection attempts", None, Some("sql_injection")),
            ("SQL Injection", None, Some("sql_injection")),
            ("XSS Attack", None, Some("xss")),
            ("XSS/Command injection attempts", None, None),
            ("Command-Injection", None, Some("command_injection")),
            ("Brute force login attempts", None, Some("brute_force")),
            ("File upload violations", None, Some("file_upload_violation")),
            ("IDOR access attempts", None, Some("idor")),
            ("Session Hijacking", None, Some("session_hijack")),
            ("IP bans", None, Some("ip_banned")),
            ("lockout", None, Some("account_locked")),
            ("user_locked", None, Some("account_locked")),
            ("login", Some("failure"), Some("login_failed")),
            ("Login", Some("success"), Some("login_success")),
            ("login", None, None),
            ("login_failed", None, None),
            ("Login_Failed", None, Some("login_failed")),
            ("lockout_attempt_while_locked", None, None),
            ("order_created", Some("failure"), None),
            // An upload is no violation where nobody says so.
            ("file_upload", None, None),
            ("", None, None),
            ("___", None, None),
        ] {
            assert_eq!(canonical(said, outcome), ours, "{said} {outcome:?}");
        }
    }

    #[test]
    fn no_name_stands_for_two_actions() {
        let mut seen = HashMap::new();
        for (ours, theirs) in CALLED {
            for name in theirs.iter().chain([ours]) {
                assert_eq!(lower(name), *name);
                assert_eq!(seen.insert(*name, ours), None, "{name}");
            }
        }
    }
}
