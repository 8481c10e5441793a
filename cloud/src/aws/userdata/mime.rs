//! Several parts in one text, as cloud-init reads them: RFC 2046 with the boundary `//`.

use std::fmt::Write as _;

use super::UserDataError;

/// A part: its content type and its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub kind: String,
    /// All headers as they were written, if they are to stay; without them there is the content type alone.
    pub head: Option<String>,
    pub text: String,
}

impl Part {
    pub fn new(kind: &str, text: String) -> Self {
        Self { kind: kind.to_owned(), head: None, text }
    }
}

pub(super) const SHELL: &str = "text/x-shellscript; charset=\"us-ascii\"";
pub(super) const NODE_CONFIG: &str = "application/node.eks.aws";

const BOUNDARY: &str = "//";

/// All parts as one document.
pub(super) fn join(parts: &[Part]) -> String {
    let mut text = format!("MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=\"{BOUNDARY}\"\n\n");
    for Part { kind, head, text: part } in parts {
        let head = head.clone().unwrap_or_else(|| format!("Content-Type: {kind}"));
        let _ = writeln!(text, "--{BOUNDARY}\n{head}\n\n{part}");
    }
    let _ = writeln!(text, "--{BOUNDARY}--");
    // A carriage return would end up inside commands.
    text.replace('\r', "")
}

/// Whether a text is a document of parts already.
pub(super) fn is_multipart(text: &str) -> bool {
    let text = text.trim_start();
    text.starts_with("MIME-Version:") || text.starts_with("Content-Type:")
}

/// The parts of a document.
///
/// # Errors
/// When it names no boundary.
pub(super) fn parts(document: &str) -> Result<Vec<Part>, UserDataError> {
    let document = document.replace('\r', "");
    let (head, body) = split_head(document.trim_start());
    let kind = header(head, "content-type").unwrap_or_default();
    let Some(boundary) = boundary(&kind) else {
        return Err(UserDataError::Custom(
            "it begins as a MIME document, but its Content-Type names no boundary".into(),
        ));
    };
    let mark = format!("--{boundary}");
    let mut found = Vec::new();
    let mut current: Option<Vec<&str>> = None;
    for line in body.lines() {
        if line.trim_end() == mark || line.trim_end() == format!("{mark}--") {
            found.extend(current.take().map(|lines| part(&lines.join("\n"))));
            if line.trim_end() == mark {
                current = Some(Vec::new());
            } else {
                break;
            }
        } else if let Some(lines) = &mut current {
            lines.push(line);
        }
    }
    found.extend(current.map(|lines| part(&lines.join("\n"))));
    Ok(found)
}

fn part(text: &str) -> Part {
    let (head, body) = split_head(text);
    let kind = header(head, "content-type").unwrap_or_else(|| "text/plain".to_owned());
    Part { kind, head: Some(head.trim_end().to_owned()).filter(|head| !head.is_empty()), text: body.to_owned() }
}

/// Headers, and what follows the first empty line.
fn split_head(text: &str) -> (&str, &str) {
    match text.strip_prefix('\n') {
        Some(body) => ("", body),
        None => text.split_once("\n\n").unwrap_or((text, "")),
    }
}

fn header(head: &str, name: &str) -> Option<String> {
    let unfolded = head.replace("\n ", " ").replace("\n\t", " ");
    let lines = unfolded.lines().filter_map(|line| line.split_once(':'));
    let mut found = lines.filter(|(key, _)| key.trim().eq_ignore_ascii_case(name));
    found.next().map(|(_, value)| value.trim().to_owned())
}

fn boundary(kind: &str) -> Option<String> {
    let at = kind.to_ascii_lowercase().find("boundary=")?;
    let rest = &kind[at + "boundary=".len()..];
    let value = match rest.strip_prefix('"') {
        Some(quoted) => quoted.split('"').next()?,
        None => rest.split(';').next()?.trim(),
    };
    (!value.is_empty()).then(|| value.to_owned())
}
