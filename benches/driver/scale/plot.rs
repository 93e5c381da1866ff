//! A picture of a run: calls a second, and operations under way, over time.

use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use super::super::Outcome;
use super::run::Run;

const WIDTH: f64 = 900.0;
const HEIGHT: f64 = 260.0;
const MARGIN: f64 = 50.0;

/// Writes `target/bench/NAME.svg`.
pub fn write(run: &Run) -> Outcome<()> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench");
    std::fs::create_dir_all(&directory)?;
    let name = run.name.replace([' ', ','], "-").replace("--", "-");
    let file = directory.join(format!("{name}{}.svg", if run.throttled > 0 { "-limited" } else { "" }));
    Ok(std::fs::write(file, picture(run))?)
}

fn picture(run: &Run) -> String {
    let calls = calls_a_second(run);
    let waiting: Vec<_> = run.waiting.iter().map(|(at, count)| (at.as_secs_f64(), *count as f64)).collect();
    let mut svg = format!(
        "<svg xmlns='http://www.w3.org/2000/svg' width='{WIDTH}' height='{HEIGHT}' font-family='sans-serif' font-size='12'>\
         <rect width='{WIDTH}' height='{HEIGHT}' fill='white'/>"
    );
    let _ = write!(svg, "<text x='{MARGIN}' y='20'>{}: {:.1} s</text>", run.name, run.took.as_secs_f64());
    curve(&mut svg, run.took, &calls, "#c0392b", MARGIN, "calls a second");
    curve(&mut svg, run.took, &waiting, "#2471a3", WIDTH - MARGIN, "operations under way");
    svg.push_str("</svg>\n");
    svg
}

/// In the seconds of the run, each counted from its middle.
fn calls_a_second(run: &Run) -> Vec<(f64, f64)> {
    let mut seconds = vec![0.0; run.took.as_secs() as usize + 1];
    for at in &run.asked {
        if let Some(count) = seconds.get_mut(at.as_secs() as usize) {
            *count += 1.0;
        }
    }
    seconds.into_iter().enumerate().map(|(second, count)| (second as f64 + 0.5, count)).collect()
}

/// A line with a scale of its own, whose largest value stands at `x`.
fn curve(svg: &mut String, took: Duration, points: &[(f64, f64)], colour: &str, x: f64, name: &str) {
    let most = points.iter().map(|(_, value)| *value).fold(1.0, f64::max);
    let (across, up) = ((WIDTH - 2.0 * MARGIN) / took.as_secs_f64().max(1.0), (HEIGHT - 2.0 * MARGIN) / most);
    let place =
        |(at, value): &(f64, f64)| format!("{:.1},{:.1}", MARGIN + at * across, HEIGHT - MARGIN - value * up);
    let line: Vec<_> = points.iter().map(place).collect();
    let _ = write!(
        svg,
        "<polyline fill='none' stroke='{colour}' stroke-width='1.5' points='{}'/>",
        line.join(" ")
    );
    let _ = write!(
        svg,
        "<text x='{x}' y='{}' fill='{colour}' text-anchor='middle'>{most:.0}</text>",
        MARGIN - 8.0
    );
    let anchor = if x < WIDTH / 2.0 { "start" } else { "end" };
    let _ = write!(
        svg,
        "<text x='{x}' y='{}' fill='{colour}' text-anchor='{anchor}'>{name}</text>",
        HEIGHT - 15.0
    );
}
