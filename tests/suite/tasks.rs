//! Tasks, combinations, and the instructions that adapters are trained with.

use nfold::config::Config;
use nfold::task::{Combination, TaskError};

fn combination(asked: &[&str]) -> Result<Combination, TaskError> {
    let config = Config::example().unwrap();
    config.catalogue().combination(asked)
}

fn instruction(asked: &str) -> String {
    let message = combination(&[asked]).unwrap().user_message("TEXT\n");
    message.strip_suffix("\n\nTEXT").unwrap().to_owned()
}

#[test]
fn instructions_are_those_of_training() {
    for (asked, expected) in [
        ("summarize", "Summarize the following text."),
        ("reply", "Write a reply to the following conversation."),
        ("translate:fr", "Translate the following text into French."),
        ("tone:professional", "Rewrite the following text in a professional tone."),
        ("tone:casual", "Rewrite the following text in a casual tone."),
        ("tone:witty", "Rewrite the following text in a witty tone."),
        ("tone:paraphrase", "Paraphrase the following text."),
        ("summarize+translate:de", "Summarize the following text in German."),
        ("summarize+tone:witty", "Summarize the following text in a witty tone."),
        ("summarize+tone:paraphrase", "Summarize the following text in other words."),
        ("reply+translate:es", "Write a reply to the following conversation in Spanish."),
        ("reply+tone:casual", "Write a reply to the following conversation in a casual tone."),
        ("reply+tone:paraphrase", "Write a reply to the following conversation in other words."),
        ("summarize+translate:es+tone:casual", "Summarize the following text in Spanish, in a casual tone."),
    ] {
        assert_eq!(instruction(asked), expected, "{asked}");
    }
}

#[test]
fn names_are_one_however_they_are_given() {
    let id = |asked: &[&str]| combination(asked).unwrap().id();
    for asked in [
        &["summarize+translate:es"][..],
        &["translate:Spanish", "summarize"],
        &["Summarize,translate:es-MX"],
        &["summarize", "translate:spa"],
    ] {
        assert_eq!(id(asked), "summarize+translate:es");
    }
    assert_eq!(id(&["tone:witty+translate:fr+reply"]), "reply+translate:fr+tone:witty");
}

#[test]
fn steps_put_the_language_last() {
    let steps: Vec<String> =
        combination(&["reply+translate:fr+tone:witty"]).unwrap().steps().iter().map(Combination::id).collect();
    assert_eq!(steps, ["reply", "tone:witty", "translate:fr"]);
}

#[test]
fn what_is_no_combination_says_why() {
    let said = |asked: &str| combination(&[asked]).unwrap_err().to_string();
    assert!(said("sumarize").contains("did you mean `summarize`?"));
    assert!(said("tone:whitty").contains("did you mean `tone:witty`?"));
    assert!(said("translate").contains("`translate:es`"));
    assert!(said("translate:spansh").contains("did you mean `Spanish`?"));
    assert!(said("summarize+reply").contains("both main tasks"));
    assert!(said("translate:es+translate:fr").contains("both set the language"));
    assert!(said("summarize+summarize").contains("twice"));
    assert!(said("+").contains("no task"));
}

#[test]
fn users_define_tasks_and_whole_instructions() {
    let text = r#"
        [tasks.keywords]
        kind = "main"
        instruction = "List the keywords of the following text."
        [tasks."tone:pirate"]
        kind = "shaping"
        instruction = "Rewrite the following text as a pirate would."
        phrase = "as a pirate would"
        max_tokens = 99
        [instructions]
        "keywords+translate:es" = "Palabras clave:"
    "#;
    let config = Config::parse(text, std::path::Path::new("user.toml")).unwrap();
    let message = |asked: &str| config.catalogue().combination(&[asked]).unwrap().user_message("");
    assert_eq!(message("keywords+tone:pirate").trim(), "List the keywords of the following text as a pirate would.");
    assert_eq!(message("keywords+translate:es").trim(), "Palabras clave:");
    assert_eq!(config.catalogue().combination(&["tone:pirate"]).unwrap().max_tokens(256), 99);
    assert_eq!(config.catalogue().combination(&["keywords+tone:pirate"]).unwrap().max_tokens(256), 256);
}

#[test]
fn a_tasks_own_settings_go_before_the_general_ones() {
    let text = "[tasks.summarize]\nrepeat_penalty = 1.3\n[tasks.\"tone:witty\"]\nrepeat_penalty = 1.2";
    let config = Config::parse(text, std::path::Path::new("config.toml")).unwrap();
    let penalty = |asked: &str| config.catalogue().combination(&[asked]).unwrap().repeat_penalty();
    assert_eq!(penalty("summarize+tone:witty"), Some(1.3));
    assert_eq!(penalty("reply+tone:witty"), Some(1.2));
    assert_eq!(penalty("reply"), None);
}
