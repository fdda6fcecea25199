//! Line plots as SVG, drawn by hand: they take their colours from the page, light or dark, and weigh little.

use std::fmt::Write;

const WIDTH: f64 = 560.0;
const HEIGHT: f64 = 300.0;
const LEFT: f64 = 58.0;
const RIGHT: f64 = 14.0;
const TOP: f64 = 30.0;
const BOTTOM: f64 = 42.0;

/// One line.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) label: String,
    /// The class that gives it its colour.
    pub(super) class: &'static str,
    /// Parts between gaps.
    pub(super) parts: Vec<Vec<(f64, f64)>>,
}

/// One axis: where a value is on it, from 0 to 1, and its marks.
pub(super) struct Axis {
    title: &'static str,
    from: f64,
    to: f64,
    scale: fn(f64) -> f64,
    ticks: Vec<(f64, String)>,
}

impl Axis {
    /// Even, from 0.
    pub(super) fn linear(title: &'static str, to: f64, unit: &str) -> Self {
        let to = if to > 0.0 { to } else { 1.0 };
        let raw = to / 5.0;
        let power = 10_f64.powf(raw.log10().floor());
        let step =
            [1.0, 2.0, 5.0, 10.0].map(|n| n * power).into_iter().find(|step| *step >= raw).unwrap_or(raw);
        let mut ticks = Vec::new();
        let mut at = 0.0;
        while at <= to * 1.0001 {
            ticks.push((at, format!("{}{unit}", short(at))));
            at += step;
        }
        Self { title, from: 0.0, to, scale: |v| v, ticks }
    }

    /// Logarithmic, so that it holds all values.
    pub(super) fn log(title: &'static str, values: impl Iterator<Item = f64>) -> Self {
        let (mut least, mut most) = (f64::MAX, 0.0_f64);
        for value in values.filter(|value| *value > 0.0) {
            least = least.min(value);
            most = most.max(value);
        }
        if most == 0.0 {
            (least, most) = (1.0, 10.0);
        }
        if most / least < 2.0 {
            (least, most) = (least / 1.3, most * 1.3);
        }
        let mut ticks = Vec::new();
        let wide = most / least > 200.0;
        for power in -6..9 {
            for digit in if wide { &[1.0][..] } else { &[1.0, 2.0, 5.0] } {
                let at = digit * 10_f64.powi(power);
                if (least * 0.999..=most * 1.001).contains(&at) {
                    ticks.push((at, short(at)));
                }
            }
        }
        Self { title, from: least, to: most, scale: f64::log10, ticks }
    }

    /// Shares, stretched towards the end: as far from 99 to 99.9 % as from 90 to 99 %.
    pub(super) fn tail(title: &'static str) -> Self {
        let ticks = [
            (0.01, "1 %"),
            (0.5, "50 %"),
            (0.9, "90 %"),
            (0.99, "99 %"),
            (0.999, "99.9 %"),
            (0.9999, "99.99 %"),
        ];
        Self {
            title,
            from: 0.0,
            to: 0.9999,
            scale: |share| -(1.0 - share).log10(),
            ticks: ticks.into_iter().map(|(at, label)| (at, label.to_owned())).collect(),
        }
    }

    fn place(&self, value: f64) -> f64 {
        let (from, to) = ((self.scale)(self.from), (self.scale)(self.to));
        (((self.scale)(value) - from) / (to - from)).clamp(0.0, 1.0)
    }
}

fn short(value: f64) -> String {
    if value >= 1000.0 && (value / 1000.0).fract().abs() < 1e-9 {
        return format!("{}k", value / 1000.0);
    }
    let text = format!("{value:.4}");
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    text.to_owned()
}

/// The plot. Lines that come later lie above.
pub(super) fn plot(title: &str, x: &Axis, y: &Axis, lines: &[Line]) -> String {
    let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
    let px = |value| LEFT + x.place(value) * (right - LEFT);
    let py = |value| bottom - y.place(value) * (bottom - TOP);
    let mut svg = format!(
        "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\"><text class=\"pt\" x=\"{LEFT}\" y=\"17\">{}</text>",
        escaped(title),
        escaped(title)
    );
    for (value, label) in &x.ticks {
        let at = px(*value);
        let _ = write!(
            svg,
            "<path class=\"grid\" d=\"M{at:.1} {TOP}V{bottom}\"/><text class=\"tick\" x=\"{at:.1}\" y=\"{}\" text-anchor=\"middle\">{label}</text>",
            bottom + 15.0
        );
    }
    for (value, label) in &y.ticks {
        let at = py(*value);
        let _ = write!(
            svg,
            "<path class=\"grid\" d=\"M{LEFT} {at:.1}H{right}\"/><text class=\"tick\" x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{label}</text>",
            LEFT - 6.0,
            at + 3.5
        );
    }
    let _ = write!(
        svg,
        "<text class=\"axis\" x=\"{right}\" y=\"{}\" text-anchor=\"end\">{}</text><text class=\"axis\" x=\"{right}\" y=\"17\" text-anchor=\"end\">{}</text>",
        HEIGHT - 8.0,
        escaped(x.title),
        escaped(y.title)
    );
    for line in lines {
        let mut d = String::new();
        for part in &line.parts {
            for (n, (vx, vy)) in part.iter().enumerate() {
                let _ = write!(d, "{}{:.1} {:.1}", if n == 0 { 'M' } else { 'L' }, px(*vx), py(*vy));
            }
            if let [(vx, vy)] = part[..] {
                let _ = write!(d, "L{:.1} {:.1}", px(vx) + 0.5, py(vy));
            }
        }
        let _ = write!(
            svg,
            "<path class=\"line {}\" d=\"{d}\"><title>{}</title></path>",
            line.class,
            escaped(&line.label)
        );
    }
    svg + "</svg>"
}

/// As text in HTML.
pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
