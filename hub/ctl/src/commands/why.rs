//! `tidegate why KIND/NAME [--cluster C]`: from symptom to cause to the way out.

use model::{Reason, api::WhyItem};

use super::{Context, segment};
use crate::{
    error::{Error, Exit},
    output::{Format, Output, safe, state},
};

/// What to ask about.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// `app/NAME`, `rollout/NAME`, `cluster/NAME` or `source/NAME`; a bare name means an app
    subject: String,
    /// Only as seen on this cluster
    #[arg(long)]
    cluster: Option<String>,
}

/// Runs it.
pub(crate) async fn run(args: &Args, context: &Context) -> Result<Exit, Error> {
    let (kind, name) = args.subject.split_once('/').unwrap_or(("app", &args.subject));
    let kind = match kind {
        "app" | "apps" => "app",
        "rollout" | "rollouts" | "ro" => "rollout",
        "cluster" | "clusters" | "cl" => "cluster",
        "source" | "sources" | "src" => "source",
        other => {
            let message = format!("nobody can be asked about `{other}`");
            let hint = "ask about app/NAME, rollout/NAME, cluster/NAME or source/NAME";
            return Err(Error::because(Exit::Usage, Reason::BadRequest, message).hint(hint));
        }
    };
    let query = args.cluster.as_ref().map(|c| format!("?cluster={}", segment(c)));
    let path = format!("why/{kind}/{}{}", segment(name), query.unwrap_or_default());
    let why: WhyItem = context.hub.get(&path).await?;
    match context.output.format {
        Format::Json => Output::json(&why)?,
        Format::Table | Format::Name => Output::data(&text(&why))?,
    }
    Ok(Exit::Fine)
}

fn text(why: &WhyItem) -> String {
    let mut out = format!("{} is {}: {}\n", why.subject, state(why.state), why.message);
    for step in &why.chain {
        let code = step.reason.map(|r| format!("   {}", r.code())).unwrap_or_default();
        let indent = "   ".repeat(usize::from(step.depth));
        out.push_str(&format!("{indent}└─ {}: {}{code}\n", step.subject, step.message));
    }
    for next in &why.next {
        let at = next.at.map(|t| format!(" at {t:.0}")).unwrap_or_default();
        let provided = next.provided.as_ref().map(|p| format!(", if {p}")).unwrap_or_default();
        out.push_str(&format!("What happens next   {}{at}{provided}\n", next.what));
    }
    for (index, step) in why.path.iter().enumerate() {
        let lead = if index == 0 { "The way to the end   " } else { "                     " };
        let at = step.earliest.map(|t| format!(", not before {t:.0}")).unwrap_or_default();
        let assumes = if step.assumes.is_empty() {
            String::new()
        } else {
            format!(", if {}", step.assumes.join(" and "))
        };
        out.push_str(&format!("{lead}{}{at}{assumes}\n", step.what));
    }
    for fix in &why.fix {
        match &fix.command {
            Some(command) => out.push_str(&format!("You can   {command}   ({})\n", fix.label)),
            None => out.push_str(&format!("You can   {}\n", fix.label)),
        }
    }
    if let Some(trace) = &why.trace_id {
        out.push_str(&format!("Trace   {trace}\n"));
    }
    safe(&out)
}
