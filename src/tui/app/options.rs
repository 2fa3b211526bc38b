//! The sliders: what can be changed of a choice beside its tasks.

use crate::config::Config;
use crate::strategy::Method;

use super::choice::Choice;

/// A slider's name, value, and place between its ends, 0 to 1, where it has ends.
pub(crate) type Row = (String, String, Option<f32>);

/// What the rows are, in order; weights stand behind the method where it has any.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Slider {
    Method,
    Weight(usize),
    MaxTokens,
    Temperature,
    TopP,
    RepeatPenalty,
    Seed,
}

fn sliders(choice: &Choice) -> Vec<Slider> {
    let weights = if choice.weighs() { choice.tasks().len() } else { 0 };
    let mut all = vec![Slider::Method];
    all.extend((0..weights).map(Slider::Weight));
    all.extend([Slider::MaxTokens, Slider::Temperature, Slider::TopP, Slider::RepeatPenalty, Slider::Seed]);
    all
}

/// The rows as they are shown.
pub(crate) fn rows(choice: &Choice, config: &Config) -> Vec<Row> {
    let tasks = choice.tasks();
    let usual = || "as configured".to_owned();
    let row = |slider| match slider {
        Slider::Method => ("method".to_owned(), choice.method.to_string(), None),
        Slider::Weight(index) => {
            let weight = weight(choice, index);
            (format!("weight of {}", tasks[index]), format!("{weight:.2}"), Some(weight / 2.0))
        }
        Slider::MaxTokens => {
            let shown = choice.max_tokens.map_or_else(|| "the task's own".to_owned(), |limit| limit.to_string());
            #[expect(clippy::cast_precision_loss, reason = "at most 4096")]
            let share = choice.max_tokens.unwrap_or(config.max_tokens).min(4096) as f32 / 4096.0;
            ("longest answer, tokens".to_owned(), shown, Some(share))
        }
        Slider::Temperature => {
            let shown =
                if choice.temperature > 0.0 { format!("{:.1}", choice.temperature) } else { "0, greedy".to_owned() };
            ("temperature".to_owned(), shown, Some(choice.temperature / 2.0))
        }
        Slider::TopP => ("top-p".to_owned(), format!("{:.2}", choice.top_p), Some(choice.top_p)),
        Slider::RepeatPenalty => {
            let shown = choice.repeat_penalty.map_or_else(usual, |penalty| format!("{penalty:.2}"));
            ("repeat penalty".to_owned(), shown, Some(choice.penalty(config) - 1.0))
        }
        Slider::Seed => ("seed".to_owned(), choice.seed.to_string(), None),
    };
    sliders(choice).into_iter().map(row).collect()
}

fn weight(choice: &Choice, index: usize) -> f32 {
    #[expect(clippy::cast_precision_loss, reason = "a handful of tasks")]
    let usual = 1.0 / choice.tasks().len().max(1) as f32;
    choice.weights.get(index).copied().unwrap_or(usual)
}

/// Moves a slider by a step, up or down.
pub(crate) fn change(choice: &mut Choice, row: usize, up: bool, config: &Config) {
    let Some(slider) = sliders(choice).get(row).copied() else { return };
    let moved = |value: f32, step: f32, least: f32, most: f32| {
        let value = value + if up { step } else { -step };
        // Hundredths, so that what is shown is what is meant.
        (((value / step).round() * step * 100.0).round() / 100.0).clamp(least, most)
    };
    match slider {
        Slider::Method => next_method(choice, up),
        Slider::Weight(index) => {
            let tasks = choice.tasks().len();
            let mut weights: Vec<f32> = (0..tasks).map(|index| weight(choice, index)).collect();
            weights[index] = moved(weights[index], 0.05, 0.0, 2.0);
            choice.weights = weights;
        }
        Slider::MaxTokens => {
            let limit = choice.max_tokens.unwrap_or(config.max_tokens);
            choice.max_tokens = Some(if up { limit + 32 } else { limit.saturating_sub(32) }.clamp(32, 4096));
        }
        Slider::Temperature => choice.temperature = moved(choice.temperature, 0.1, 0.0, 2.0),
        Slider::TopP => choice.top_p = moved(choice.top_p, 0.05, 0.05, 1.0),
        Slider::RepeatPenalty => {
            choice.repeat_penalty = Some(moved(choice.penalty(config), 0.05, 1.0, 2.0));
        }
        Slider::Seed => choice.seed = if up { choice.seed.wrapping_add(1) } else { choice.seed.wrapping_sub(1) },
    }
}

/// Takes the next method, from the last on the first again.
pub(crate) fn next_method(choice: &mut Choice, forward: bool) {
    let count = Method::ALL.len();
    let at = Method::ALL.iter().position(|method| *method == choice.method).unwrap_or(0);
    choice.method = Method::ALL[(at + if forward { 1 } else { count - 1 }) % count];
}

/// Everything as the configuration says; tasks, model and method stay.
pub(crate) fn reset(choice: &mut Choice, config: &Config) {
    choice.weights.clear();
    (choice.max_tokens, choice.repeat_penalty) = (None, None);
    (choice.temperature, choice.top_p, choice.seed) =
        (config.sampling.temperature, config.sampling.top_p, config.sampling.seed);
}
