//! QR codes (ISO/IEC 18004) as inline SVG: what a telephone's wallet reads off the screen.

use std::fmt::Write as _;

use qrcode::{Color, EcLevel, QrCode};

/// Light modules around the code, as the standard asks for.
const QUIET_MODULES: usize = 4;
/// Longest text of a code, bytes: more is too dense for a telephone's camera.
const MAX_TEXT_BYTES: usize = 600;

/// The code of `text`; none where it is too long for one.
///
/// Dark on light whatever the colours of the page are: not every wallet reads the inverse.
pub fn svg(text: &str) -> Option<String> {
    if text.len() > MAX_TEXT_BYTES {
        return None;
    }
    let code = QrCode::with_error_correction_level(text, EcLevel::M).ok()?;
    let width = code.width();
    let side = width + 2 * QUIET_MODULES;
    let mut path = String::new();
    for y in 0..width {
        let mut x = 0;
        while x < width {
            let run = (x..width).take_while(|at| code[(*at, y)] == Color::Dark);
            let length = run.count();
            if length > 0 {
                let (left, top) = (x + QUIET_MODULES, y + QUIET_MODULES);
                write!(path, "M{left} {top}h{length}v1h-{length}z")
                    .expect("a String takes every write");
            }
            x += length.max(1);
        }
    }
    Some(format!(
        "<svg class=\"qr\" viewBox=\"0 0 {side} {side}\" role=\"img\" aria-label=\"QR code of the \
         payment\" shape-rendering=\"crispEdges\"><rect width=\"{side}\" height=\"{side}\" \
         fill=\"#fff\"/><path d=\"{path}\" fill=\"#000\"/></svg>"
    ))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// The modules that a drawing shows dark.
    fn dark(svg: &str) -> Vec<(usize, usize)> {
        let path = svg.split(" d=\"").nth(1).unwrap();
        let path = path.split('"').next().unwrap();
        let mut modules = Vec::new();
        for run in path.split('M').skip(1) {
            let (place, rest) = run.split_once('h').unwrap();
            let (x, y) = place.split_once(' ').unwrap();
            let (x, y): (usize, usize) = (x.parse().unwrap(), y.parse().unwrap());
            let length: usize = rest.split('v').next().unwrap().parse().unwrap();
            modules.extend((x..x + length).map(|x| (x - QUIET_MODULES, y - QUIET_MODULES)));
        }
        modules
    }

    #[test]
    fn a_drawing_has_the_modules_of_its_code_and_no_others() {
        let text =
            "bitcoin:bcrt1pqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq?amount=0.000021";
        let code = QrCode::with_error_correction_level(text, EcLevel::M).unwrap();
        let all = (0..code.width()).flat_map(|y| (0..code.width()).map(move |x| (x, y)));
        let expected: Vec<_> = all.filter(|at| code[*at] == Color::Dark).collect();
        assert_eq!(dark(&svg(text).unwrap()), expected);
        assert!(expected.len() > 300);
    }

    #[test]
    fn text_never_becomes_markup_and_too_much_of_it_no_code() {
        let drawn = svg("bitcoin:\"><script>alert(1)</script>").unwrap();
        assert!(!drawn.contains("script"), "{drawn}");
        assert!(svg(&"x".repeat(MAX_TEXT_BYTES)).is_some());
        assert_eq!(svg(&"x".repeat(MAX_TEXT_BYTES + 1)), None);
    }
}
