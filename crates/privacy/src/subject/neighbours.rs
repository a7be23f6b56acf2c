//! What stands beside a find: a name that says whose value it is, or the rest of something else.

use super::IdentifierKind;

/// `"user": {"id": 5}` says as much as `"user.id": 5`.
pub(super) fn names(parents: &[String], key: &str) -> bool {
    names_a_user(key) || parents.last().is_some_and(|p| !p.is_empty() && names_a_user(&format!("{p}.{key}")))
}

/// `phone`, `mobile_number`: the number is a telephone's.
pub(super) fn names_a_phone(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    ["phone", "mobile", "msisdn", "tel", "fax", "cell"].iter().any(|k| key.contains(k))
}

/// `user_id`, `user.name`, `uid`, `login`: the value names a user.
pub(super) fn names_a_user(key: &str) -> bool {
    let plain: String = key.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    matches!(
        plain.as_str(),
        "user"
            | "userid"
            | "username"
            | "uid"
            | "login"
            | "account"
            | "accountid"
            | "accountname"
            | "customer"
            | "customerid"
            | "member"
            | "memberid"
            | "employee"
            | "employeeid"
            | "subject"
            | "subjectid"
            | "sub"
            | "actor"
            | "actorid"
            | "owner"
            | "ownerid"
            | "usertargetid"
            | "usertargetname"
            | "usereffectiveid"
            | "relateduser"
    )
}

/// Whether what stands before and after belongs to something else.
pub(super) fn stands_alone(kind: IdentifierKind, text: &str, start: usize, end: usize) -> bool {
    let before = decoded_before(text, start);
    let mut rest = text[end..].chars();
    let (after, then) = (rest.next(), rest.next());
    let word = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    let goes_on = |c: char| after == Some(c) && word(then);
    match kind {
        IdentifierKind::Email => {
            !word(before)
                && !before.is_some_and(|c| "._+-!#$&'*/=?^`{|}~".contains(c) && !"='/{|`".contains(c))
                && !word(after)
                && !goes_on('.')
                && !goes_on('-')
                && after != Some('@')
                && after != Some('_')
        }
        IdentifierKind::Ip if text[start..end].contains('.') && !text[start..end].contains(':') => {
            !word(before) && !preceded(text, start, '.') && !word(after) && !goes_on('.')
        }
        IdentifierKind::Ip => {
            !before.is_some_and(|c| c.is_ascii_hexdigit() || c == ':' || c == '.')
                && !after.is_some_and(|c| c.is_alphanumeric() || c == ':')
                && !goes_on('.')
        }
        IdentifierKind::Phone => {
            !before.is_some_and(|c| c.is_ascii_alphanumeric() || c == '+')
                && !word(after)
                && !preceded(text, start, '.')
                && !goes_on('.')
        }
        IdentifierKind::Name => !word(before) && !word(after),
        IdentifierKind::UserId => {
            let joins = |c: Option<char>| c.is_some_and(|c| c == '_' || c == '-' || c == '@');
            !word(before)
                && !joins(before)
                && !preceded(text, start, '.')
                && !word(after)
                && !joins(after)
                && !goes_on('.')
        }
    }
}

/// Whether `mark` stands before, with a letter or digit before that.
fn preceded(text: &str, start: usize, mark: char) -> bool {
    let mut back = text[..start].chars().rev();
    back.next() == Some(mark) && back.next().is_some_and(char::is_alphanumeric)
}

/// The character before; of a percent-encoded one, what it stands for.
fn decoded_before(text: &str, start: usize) -> Option<char> {
    let head = &text[..start];
    if let Some(code) = head.len().checked_sub(3).and_then(|at| head.get(at..)).and_then(|t| t.strip_prefix('%'))
        && let Ok(byte) = u8::from_str_radix(code, 16)
    {
        return Some(char::from(byte));
    }
    head.chars().next_back()
}
