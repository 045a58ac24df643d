//! QR codes in a terminal.

use qrcode::{QrCode, render::unicode::Dense1x2};

/// A QR code of half blocks; none where the text is too long for one.
///
/// Light modules are drawn in the terminal's text colour: most terminals are dark, and what reads
/// codes reads them either way round.
pub(super) fn code(text: &str) -> Option<String> {
    let code = QrCode::new(text).ok()?;
    let drawn = code
        .render::<Dense1x2>()
        .dark_color(Dense1x2::Light)
        .light_color(Dense1x2::Dark)
        .build();
    Some(drawn)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_square_and_have_their_finders() {
        let code = code("bitcoin:bcrt1qtest?amount=0.00001").expect("short enough");
        let lines: Vec<_> = code.lines().collect();
        let width = lines[0].chars().count();
        assert!(lines.iter().all(|line| line.chars().count() == width));
        assert_eq!(lines.len(), width.div_ceil(2), "two modules a character");
        assert!(code.chars().all(|c| " ▀▄█\n".contains(c)), "{code}");
        // Quiet zone, then the top of a finder pattern: seven dark over dark and light ones.
        let edge: String = lines[2].chars().take(12).collect();
        assert_eq!(edge, "████ ▄▄▄▄▄ █");
    }

    #[test]
    fn what_is_too_long_has_no_code() {
        assert_eq!(code(&"x".repeat(8_000)), None);
    }
}
