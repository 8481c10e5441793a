//! What every screen is painted with: few colours, bars, text cut to its place.

use ratatui::buffer::Buffer;
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};

/// Titles and headers.
pub const HEAD: Style = Style::new().add_modifier(Modifier::BOLD);
/// What is there but need not be read.
pub const SOFT: Style = Style::new().fg(Color::DarkGray);
/// As it should be.
pub const GOOD: Style = Style::new().fg(Color::Green);
/// On its way.
pub const BUSY: Style = Style::new().fg(Color::Cyan);
/// To be looked at.
pub const WARN: Style = Style::new().fg(Color::Yellow);
/// Wrong.
pub const BAD: Style = Style::new().fg(Color::Red);
/// The tab that is shown.
pub const CHOSEN: Style = Style::new().add_modifier(Modifier::REVERSED);

/// Eighths of a cell.
const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];

/// A bar `width` cells wide, full at 1.
pub fn bar(share: f64, width: usize) -> String {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and a few hundred")]
    let eighths = (share.clamp(0.0, 1.0) * (width * 8) as f64).round() as usize;
    let part = EIGHTHS[eighths % 8];
    let mut out = "█".repeat(eighths / 8) + part;
    let used = eighths / 8 + usize::from(!part.is_empty());
    out.push_str(&"·".repeat(width.saturating_sub(used)));
    out
}

/// `████▍··· 52%`, coloured by how full it is; a dash where there is nothing to fill.
pub fn gauge(share: Option<f64>, width: usize) -> Line<'static> {
    let Some(share) = share else { return Line::styled("-", SOFT) };
    let style = match share {
        s if s > 1.0 => BAD,
        s if s >= 0.6 => GOOD,
        s if s >= 0.3 => BUSY,
        _ => WARN,
    };
    let number = format!("{:>4.0}%", (share * 100.0).clamp(0.0, 9999.0));
    if width < 9 {
        return Line::styled(number.trim_start().to_owned(), style);
    }
    Line::from(vec![Span::styled(bar(share, width - 5), style), Span::raw(number)])
}

/// Takes all colours away; what is bold or reversed stays so. (Left to crossterm, each colour not drawn under `NO_COLOR` is a
/// reset, which takes these with it.)
pub fn bleach(buffer: &mut Buffer) {
    for cell in &mut buffer.content {
        (cell.fg, cell.bg) = (Color::Reset, Color::Reset);
    }
}

/// How many cells a text takes.
pub fn width(text: &str) -> usize {
    Span::raw(text).width()
}

/// The text in at most `most` cells; what is cut off ends with `…`. Control characters of names are not let through.
pub fn cut(text: &str, most: usize) -> String {
    let clean: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if width(&clean) <= most {
        return clean;
    }
    let mut out = String::new();
    let mut used = 0;
    for c in clean.chars() {
        let wide = width(c.encode_utf8(&mut [0; 4]));
        if used + wide + 1 > most {
            break;
        }
        out.push(c);
        used += wide;
    }
    if most > 0 {
        out.push('…');
    }
    out
}

/// The lines of a text `most` cells wide, broken between words where there are such; later lines begin with `indent`.
pub fn wrap(text: &str, most: usize, indent: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        let joined = if line.trim().is_empty() { width(&line) } else { width(&line) + 1 };
        if !line.trim().is_empty() && joined + width(word) > most {
            lines.push(cut(&line, most));
            indent.clone_into(&mut line);
        } else if !line.trim().is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    if !line.trim().is_empty() {
        lines.push(cut(&line, most));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_as_long_as_its_share_and_never_longer_than_its_place() {
        assert_eq!(bar(0.5, 8), "████····");
        assert_eq!(bar(0.55, 8), "████▍···");
        assert_eq!(bar(7.0, 4), "████");
        assert_eq!(bar(-1.0, 4), "····");
        assert_eq!(bar(0.3, 0), "");
    }

    #[test]
    fn a_gauge_says_more_than_full_and_nothing_of_nothing() {
        assert_eq!(gauge(Some(1.7), 13).to_string(), "████████ 170%");
        assert_eq!(gauge(Some(0.52), 5).to_string(), "52%");
        assert_eq!(gauge(None, 13).to_string(), "-");
    }

    #[test]
    fn text_is_cut_by_cells_and_cannot_steer_the_terminal() {
        assert_eq!(cut("general", 7), "general");
        assert_eq!(cut("general", 4), "gen…");
        assert_eq!(cut("日本語", 5), "日本…");
        assert_eq!(cut("a\x1b[2Jb", 10), "a [2Jb");
        assert_eq!(cut("general", 0), "");
    }

    #[test]
    fn without_colours_what_is_chosen_still_stands_out() {
        use ratatui::backend::Backend;
        let mut screen = Buffer::with_lines([Line::from(vec![
            Span::styled("1", BUSY),
            Span::styled("2", CHOSEN),
            Span::styled("3", HEAD.patch(BAD)),
        ])]);
        bleach(&mut screen);
        let mut written = Vec::new();
        let cells = screen.content.iter().enumerate().map(|(x, cell)| (u16::try_from(x).unwrap(), 0, cell));
        ratatui::backend::CrosstermBackend::new(&mut written).draw(cells).unwrap();
        let written = String::from_utf8(written).unwrap();
        assert!(written.contains("\x1b[7m2") && written.contains("\x1b[1m3"), "{written:?}");
    }

    #[test]
    fn text_is_wrapped_between_words() {
        assert_eq!(
            wrap("no pool sells a machine so large", 12, "  "),
            ["no pool", "  sells a", "  machine so", "  large"]
        );
        assert_eq!(wrap("", 10, ""), Vec::<String>::new());
        assert_eq!(wrap("unbreakable-name", 6, ""), ["unbre…"]);
    }
}
