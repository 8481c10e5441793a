//! Keys, by what people mean with them.

use ratatui::crossterm::event::{Event, KeyCode, KeyEventKind, KeyModifiers};

/// What somebody wants of the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    Quit,
    /// End as a signal would: scripts read it from the exit code.
    Interrupt,
    /// Show the keys, or hide them.
    Help,
    /// The next tab, or the one before.
    Tab {
        back: bool,
    },
    /// The tab of this number, from 1.
    TabAt(usize),
    /// So many lines down, or up.
    Scroll(i32),
    /// A page down, or up.
    Page {
        back: bool,
    },
    Top,
    Bottom,
    /// Sort by the next column.
    Sort,
    /// Turn the order round.
    Reverse,
    /// Look at once, and not when it is time.
    Look,
}

/// What an event asks for; nothing if it is no key of ours.
pub fn wish(event: &Event) -> Option<Wish> {
    let Event::Key(key) = event else { return None };
    if key.kind == KeyEventKind::Release {
        return None;
    }
    if key.modifiers.contains(KeyModifiers::CONTROL) {
        return match key.code {
            KeyCode::Char('c') => Some(Wish::Interrupt),
            KeyCode::Char('d') => Some(Wish::Quit),
            KeyCode::Char('f') => Some(Wish::Page { back: false }),
            KeyCode::Char('b') => Some(Wish::Page { back: true }),
            _ => None,
        };
    }
    Some(match key.code {
        KeyCode::Char('q') | KeyCode::Esc => Wish::Quit,
        KeyCode::Char('?' | 'h') | KeyCode::F(1) => Wish::Help,
        KeyCode::Tab | KeyCode::Right | KeyCode::Char('l') => Wish::Tab { back: false },
        KeyCode::BackTab | KeyCode::Left => Wish::Tab { back: true },
        KeyCode::Char(digit @ '1'..='9') => Wish::TabAt(digit as usize - '0' as usize),
        KeyCode::Down | KeyCode::Char('j') => Wish::Scroll(1),
        KeyCode::Up | KeyCode::Char('k') => Wish::Scroll(-1),
        KeyCode::PageDown => Wish::Page { back: false },
        KeyCode::PageUp => Wish::Page { back: true },
        KeyCode::Home | KeyCode::Char('g') => Wish::Top,
        KeyCode::End | KeyCode::Char('G') => Wish::Bottom,
        KeyCode::Char('s') => Wish::Sort,
        KeyCode::Char('r') => Wish::Reverse,
        KeyCode::Char(' ') => Wish::Look,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use ratatui::crossterm::event::KeyEvent;

    use super::*;

    #[test]
    fn q_and_escape_quit_control_c_interrupts_and_c_alone_does_neither() {
        let press = |code, modifiers| wish(&Event::Key(KeyEvent::new(code, modifiers)));
        assert_eq!(press(KeyCode::Char('q'), KeyModifiers::NONE), Some(Wish::Quit));
        assert_eq!(press(KeyCode::Esc, KeyModifiers::NONE), Some(Wish::Quit));
        assert_eq!(press(KeyCode::Char('c'), KeyModifiers::CONTROL), Some(Wish::Interrupt));
        assert_eq!(press(KeyCode::Char('c'), KeyModifiers::NONE), None);
        assert_eq!(press(KeyCode::Char('3'), KeyModifiers::NONE), Some(Wish::TabAt(3)));
        assert_eq!(wish(&Event::Resize(10, 10)), None);
    }
}
