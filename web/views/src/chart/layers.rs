//! Layers upon one another, as the charts draw them: paths of whole numbers, no styles.

use std::fmt::{self, Write};

/// A frame to draw in, in the SVG's own units.
#[derive(Clone, Copy, Debug)]
pub(super) struct Area {
    /// From the first value to the last.
    pub width: u64,
    /// The line where values are zero.
    pub base: u64,
    /// From there to the highest value.
    pub height: u64,
    /// Values grow upwards.
    pub up: bool,
    /// What the height stands for.
    pub peak: u64,
}

/// A layer: how it is marked in the SVG, and its values from the first to the last.
#[derive(Clone, Debug)]
pub(super) struct Layer {
    /// Attributes of its path, fixed words only.
    pub mark: String,
    /// Its values.
    pub values: Vec<u64>,
}

/// The highest sum of the layers, at least 1.
pub(super) fn peak(layers: &[Layer]) -> u64 {
    let longest = layers.iter().map(|layer| layer.values.len()).max();
    let sum = |at: usize| {
        let values = layers.iter().filter_map(|layer| layer.values.get(at));
        values.fold(0u64, |sum, value| sum.saturating_add(*value))
    };
    (0..longest.unwrap_or(0)).map(sum).max().unwrap_or(0).max(1)
}

impl Area {
    /// Draws the layers, the first nearest to the line of zero; those without bytes are left out.
    pub fn draw(&self, to: &mut impl Write, layers: &[Layer]) -> fmt::Result {
        let longest = layers.iter().map(|layer| layer.values.len()).max();
        let mut below = vec![0u64; longest.unwrap_or(0)];
        for layer in layers {
            if layer.values.iter().all(|value| *value == 0) {
                continue;
            }
            let above: Vec<u64> = below
                .iter()
                .enumerate()
                .map(|(at, below)| below.saturating_add(layer.values.get(at).copied().unwrap_or(0)))
                .collect();
            write!(to, "<path {} d=\"", layer.mark)?;
            self.line(to, above.iter().copied().enumerate(), 'M')?;
            self.line(to, below.iter().copied().enumerate().rev(), 'L')?;
            to.write_str("Z\"/>")?;
            below = above;
        }
        Ok(())
    }

    /// Where a value is.
    pub fn y(&self, value: u64) -> u64 {
        let scaled = u128::from(value) * u128::from(self.height) / u128::from(self.peak.max(1));
        let height = u64::try_from(scaled)
            .unwrap_or(self.height)
            .min(self.height);
        if self.up {
            self.base.saturating_sub(height)
        } else {
            self.base.saturating_add(height)
        }
    }

    fn line(
        &self,
        to: &mut impl Write,
        values: impl ExactSizeIterator<Item = (usize, u64)>,
        first: char,
    ) -> fmt::Result {
        let last = values.len().saturating_sub(1).max(1) as u64;
        let mut letter = first;
        for (at, value) in values {
            let x = at as u64 * self.width / last;
            write!(to, "{letter}{x} {}", self.y(value))?;
            letter = 'L';
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(values: &[u64]) -> Layer {
        Layer {
            mark: "class=\"x\"".to_owned(),
            values: values.to_vec(),
        }
    }

    fn drawn(up: bool, layers: &[Layer]) -> String {
        let area = Area {
            width: 100,
            base: 50,
            height: 50,
            up,
            peak: peak(layers),
        };
        let mut svg = String::new();
        area.draw(&mut svg, layers)
            .expect("a String takes every write");
        svg
    }

    #[test]
    fn layers_lie_upon_one_another() {
        let layers = [layer(&[10, 0]), layer(&[0, 0]), layer(&[10, 5])];
        assert_eq!(peak(&layers), 20);
        assert_eq!(
            drawn(true, &layers),
            "<path class=\"x\" d=\"M0 25L100 50L100 50L0 50Z\"/>\
             <path class=\"x\" d=\"M0 0L100 38L100 50L0 25Z\"/>"
        );
        assert!(drawn(false, &layers).starts_with("<path class=\"x\" d=\"M0 75L100 50"));
    }

    #[test]
    fn any_values_stay_within_the_area() {
        let layers = [layer(&[u64::MAX, 0, 3]), layer(&[u64::MAX]), layer(&[1])];
        assert_eq!(peak(&layers), u64::MAX);
        for up in [true, false] {
            let svg = drawn(up, &layers);
            let numbers = svg.split(|c: char| !c.is_ascii_digit());
            let highest = numbers
                .filter_map(|number| number.parse::<u64>().ok())
                .max();
            assert_eq!(highest, Some(100), "{svg}");
        }
        assert_eq!(drawn(true, &[]), "");
        assert_eq!(drawn(true, &[layer(&[])]), "");
    }
}
