//! `tidegate rollout simulate FILE`: what would happen, by the very brain of the hub; needs no hub.

use std::{fs, path::Path, path::PathBuf};

use model::Reason;
use render::Diagnostic;
use rollout::sim::{
    file::{self, AppSpec, Fault, Scenario},
    play::{self, Ending, Tally, print},
};

use crate::{
    error::{Error, Exit},
    output::{Format, Output, Table, safe},
};

/// Largest file that is read, in bytes.
const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// What to simulate.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Args {
    /// The scenario
    file: PathBuf,
    /// Seed of everything that is chance; that of the file, or 0, when absent
    #[arg(long)]
    seed: Option<u64>,
    /// Play with so many seeds, and print figures instead of transcripts
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    runs: Option<u32>,
}

const EXAMPLE: &str = "\
Example, `before-friday.yaml`:

  clusters:
    - {name: c1, labels: {ring: canary}}
    - {name: p%, count: 20, labels: {ring: prod}}
    - {name: far, labels: {ring: prod}, dark: [{from: 5m, to: 40m}]}
  app:                          # the `spec` of app.yaml; or `appFile: path`
    targets: {select: \"true\"}
    rollout:
      waves:
        - {name: canary, select: labels.ring == 'canary', after: {soak: 10m}}
        - {name: prod, rest: true, maxInFlight: 25%}
  releases:
    r2: [{does: fails, after: 30s, on: [p7]}]
  timeline:
    - {at: 0s, do: commit r1}
    - {at: 2h, do: commit r2}
    - {at: 3h, do: rollback, by: ann, reason: p7 fails}
  until: 4h
  expect:
    - {at: 1h, that: rollout 1 Completed}
    - {that: p7 runs r1}

Ends with 0 when it was played and all of `expect` holds, 1 when something of it does not, 2 when the file is
wrong. The whole language: hub/rollout/scenarios/README.md.";

/// Runs it.
pub(crate) fn run(args: &Args, output: Output) -> Result<Exit, Error> {
    let scenario = load(&args.file)?;
    let first = args.seed.unwrap_or(scenario.seed);
    match args.runs {
        Some(runs) => many(&scenario, first, runs, output),
        None => one(&scenario, first, output),
    }
}

fn one(scenario: &Scenario, seed: u64, output: Output) -> Result<Exit, Error> {
    let outcome = play::play(scenario, seed);
    match output.format {
        Format::Json => {
            let lines: Vec<String> =
                print::documents(seed, &outcome).iter().map(ToString::to_string).collect();
            Output::data(&lines.join("\n"))?;
        }
        Format::Table | Format::Name => {
            Output::data(&safe(&print::text(&scenario.about, &outcome)))?;
        }
    }
    let bug = outcome.lines.iter().find(|l| matches!(l.what, play::What::Violation));
    if let Some(line) = bug {
        let message = format!("a rule of Tidegate was broken: {}", line.text);
        return Err(Error::new(Exit::Internal, message).hint("report it with the file and seed"));
    }
    if outcome.broken.is_empty() {
        return Ok(Exit::Fine);
    }
    output.say(&format!("{} expectations do not hold", outcome.broken.len()));
    Ok(Exit::No)
}

fn many(scenario: &Scenario, first: u64, runs: u32, output: Output) -> Result<Exit, Error> {
    let seeds = (0..u64::from(runs)).map(|n| first.wrapping_add(n));
    let mut unmet = 0;
    let mut all: Vec<(u64, Tally)> = Vec::new();
    for seed in seeds {
        let outcome = play::play(scenario, seed);
        unmet += usize::from(!outcome.broken.is_empty());
        all.push((seed, outcome.tally));
    }
    match output.format {
        Format::Json => {
            let lines: Vec<String> =
                all.iter().map(|(seed, tally)| print::figures(*seed, tally).to_string()).collect();
            Output::data(&lines.join("\n"))?;
        }
        Format::Table | Format::Name => {
            Output::data(&table(&all))?;
            Output::data(&spread(&all))?;
        }
    }
    output.say(&format!("{unmet} of {runs} runs did not meet what was expected"));
    Ok(if unmet == 0 { Exit::Fine } else { Exit::No })
}

fn table(all: &[(u64, Tally)]) -> String {
    let mut table =
        Table::new(&["SEED", "END", "DURATION", "EXPOSED", "PLANNED", "HALTS", "FAILURES"]);
    for (seed, tally) in all {
        table.row(&[
            seed.to_string(),
            print::ending(tally.ending),
            print::time(tally.duration),
            tally.exposed.to_string(),
            tally.planned.to_string(),
            tally.halts.to_string(),
            tally.failures.to_string(),
        ]);
    }
    table.to_string()
}

/// Least, middle and most of what people ask about.
fn spread(all: &[(u64, Tally)]) -> String {
    let middle = |mut values: Vec<u128>| {
        values.sort_unstable();
        let at = |i: usize| values.get(i).copied().unwrap_or_default();
        [at(0), at(values.len() / 2), at(values.len().saturating_sub(1))]
    };
    let [least, usual, most] = middle(all.iter().map(|(_, t)| t.duration.as_millis()).collect());
    let time = |millis: u128| {
        let millis = u64::try_from(millis).unwrap_or(u64::MAX);
        print::time(std::time::Duration::from_millis(millis))
    };
    let [few, some, many] = middle(all.iter().map(|(_, t)| t.exposed as u128).collect());
    let finished = all.iter().filter(|(_, t)| matches!(t.ending, Ending::Finished(_))).count();
    let halted = all.iter().filter(|(_, t)| t.halts > 0).count();
    format!(
        "\nof {} runs {finished} finished, {halted} halted; duration {} / {} / {}, exposed {few} / {some} / {many} \
         (least / middle / most)",
        all.len(),
        time(least),
        time(usual),
        time(most),
    )
}

fn load(path: &Path) -> Result<Scenario, Error> {
    let shown = path.display().to_string();
    let text = read(path).map_err(|why| {
        Error::because(Exit::Usage, Reason::BadRequest, format!("`{shown}` cannot be read: {why}"))
            .hint("give the path of a scenario; `tidegate rollout simulate --help` shows one")
    })?;
    let folder = path.parent().unwrap_or(Path::new("."));
    let open = |name: &str| read(&folder.join(name));
    let reader = |name: &str, text: &str| {
        let inline = name == shown;
        let whole = fs::canonicalize(folder.join(name)).unwrap_or_default();
        let whole = whole.to_string_lossy();
        let known_as = if inline { "apps/web/app.yaml" } else { &whole };
        let app = render::parse_app(known_as, text)
            .map_err(|found| found.iter().map(|d| fault(name, d)).collect::<Vec<_>>())?;
        Ok(AppSpec { targets: app.targets, strategy: app.strategy })
    };
    file::parse(&shown, &text, &open, &reader).map_err(|faults| {
        let lines: Vec<_> = faults.iter().map(ToString::to_string).collect();
        Error::because(Exit::Usage, Reason::BadRequest, safe(&lines.join("\n")))
            .hint("`tidegate rollout simulate --help` shows the language")
    })
}

fn fault(file: &str, diagnostic: &Diagnostic) -> Fault {
    Fault {
        file: file.to_owned(),
        line: diagnostic.position.map_or(1, |p| u64::from(p.line)),
        message: diagnostic.message.clone(),
        hint: diagnostic.hint.clone(),
    }
}

fn read(path: &Path) -> Result<String, String> {
    let about = fs::metadata(path).map_err(|e| e.to_string())?;
    if about.len() > FILE_BYTES_MAX {
        return Err(format!("it has {} bytes, at most {FILE_BYTES_MAX} are read", about.len()));
    }
    fs::read_to_string(path).map_err(|e| e.to_string())
}
