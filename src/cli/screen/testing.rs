//! Screens without a terminal, for tests.

use ratatui::backend::TestBackend;
use ratatui::{Frame, Terminal};

/// What is drawn on a screen of this size.
pub fn drawn(width: u16, height: u16, render: impl FnOnce(&mut Frame<'_>)) -> TestBackend {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(render).unwrap();
    terminal.backend().clone()
}

/// Its lines, without spaces at their ends.
pub fn lines(screen: &TestBackend) -> Vec<String> {
    let buffer = screen.buffer();
    let area = buffer.area;
    let line = |y| {
        let mut skip = 0;
        let mut text = String::new();
        for x in 0..area.width {
            if skip > 0 {
                skip -= 1;
                continue;
            }
            let symbol = buffer[(x, y)].symbol();
            skip = super::paint::width(symbol).saturating_sub(1);
            text.push_str(symbol);
        }
        text.trim_end().to_owned()
    };
    (0..area.height).map(line).collect()
}

/// Compares with `src/cli/screen/golden/NAME.txt`; with `UPDATE_SCREENS` set, writes it.
pub fn golden(name: &str, lines: &[String]) {
    let path = format!("{}/src/cli/screen/golden/{name}.txt", env!("CARGO_MANIFEST_DIR"));
    let text = lines.join("\n") + "\n";
    if std::env::var_os("UPDATE_SCREENS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, golden, "{path} differs; UPDATE_SCREENS=1 writes it");
}
