//! `tidegate reason [CODE]`: the registry, offline.

use model::Reason;

use crate::{
    error::{Error, Exit},
    output::{Format, Output, Table},
};

/// Which reason.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Code such as `WAV-507`; all when left out
    code: Option<String>,
}

/// Runs it.
pub(crate) fn run(args: &Args, output: Output) -> Result<Exit, Error> {
    let reasons = match &args.code {
        None => Reason::ALL.to_vec(),
        Some(code) => {
            let missing = || {
                let message = format!("there is no reason `{code}`");
                Error::because(Exit::NotFound, Reason::NotFound, message)
                    .hint("`tidegate reason` lists them all")
            };
            vec![Reason::from_code(code).ok_or_else(missing)?]
        }
    };
    if output.format == Format::Json {
        let items: Vec<_> = reasons.iter().map(|r| document(*r)).collect();
        Output::json(&model::api::List::new(items))?;
    } else if let (Some(_), [reason]) = (&args.code, reasons.as_slice()) {
        Output::data(&format!(
            "{reason}\n{}\n\n{}\n\nState    {}\nLifted by {}\nWhat to do  {}",
            reason.title(),
            reason.explanation(),
            reason.state(),
            document(*reason)["owner"].as_str().unwrap_or_default(),
            reason.next_step()
        ))?;
    } else {
        let mut table = Table::new(&["CODE", "STATE", "MEANS"]);
        for reason in reasons {
            table.row(&[
                reason.code().to_owned(),
                reason.state().to_string(),
                reason.title().to_owned(),
            ]);
        }
        Output::data(&table.to_string())?;
    }
    Ok(Exit::Fine)
}

fn document(reason: Reason) -> serde_json::Value {
    serde_json::json!({
        "code": reason.code(),
        "name": reason.name(),
        "state": reason.state(),
        "owner": reason.owner(),
        "title": reason.title(),
        "explanation": reason.explanation(),
        "nextStep": reason.next_step(),
    })
}
