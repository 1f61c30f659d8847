//! The program round the hub: signals, runtime, what goes to the terminal.
#![expect(clippy::print_stderr, reason = "the last words of a process go to its terminal")]

use std::{
    fs::{File, OpenOptions},
    io::{BufReader, BufWriter, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
    process::ExitCode,
};

use tokio::signal::unix::{SignalKind, signal};

use crate::{
    clock::Clock,
    config::{Cli, Command, Serve},
    run,
    store::{SledStore, backup},
    telemetry,
};

/// What anything may fail with here: only its texts are used.
type AnyError = Box<dyn std::error::Error + Send + Sync>;

/// Runs the command and turns its outcome into an exit code.
pub fn main(cli: Cli) -> ExitCode {
    let done = match cli.command {
        Command::Serve(config) => serve(&config),
        Command::Backup { data_dir, file } => backup(&data_dir, &file),
        Command::Restore { data_dir, file } => restore(&data_dir, &file),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", sentence(&*error));
            ExitCode::FAILURE
        }
    }
}

/// An error and its causes, joined the way people read.
fn sentence(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let more = next.to_string();
        if !text.ends_with(&more) {
            text = format!("{text}: {more}");
        }
        cause = next.source();
    }
    text
}

fn backup(data_dir: &Path, file: &Path) -> Result<(), AnyError> {
    let store = SledStore::open(&data_dir.join("store"))?;
    let mut options = OpenOptions::new();
    let mut to = BufWriter::new(options.write(true).create_new(true).mode(0o600).open(file)?);
    let summary = backup::export(&store, &mut to)?;
    to.flush()?;
    to.get_ref().sync_all()?;
    eprintln!("backup written to {}: {summary:?}", file.display());
    Ok(())
}

fn restore(data_dir: &Path, file: &Path) -> Result<(), AnyError> {
    std::fs::create_dir_all(data_dir)?;
    let open = || File::open(file).map(BufReader::new);
    // Read whole before anything is written.
    backup::check(&mut open()?)?;
    let store = SledStore::open(&data_dir.join("store"))?;
    let summary = backup::restore(&store, &mut open()?)?;
    eprintln!("restored from {}: {summary:?}", file.display());
    Ok(())
}

fn serve(config: &Serve) -> Result<(), AnyError> {
    // Fails only when a provider is installed already, which is as good.
    crate::pki::install_provider();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        telemetry::install(config.log.into(), config.otlp.as_deref())?;
        let mut term = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let running = run::start(config, Clock::system()).await?;
        eprintln!(
            "hub      http://{}   token {}",
            running.http,
            config.data_dir.join("admin.token").display()
        );
        eprintln!("agents   {}", running.agents);
        let stop = async {
            tokio::select! { _ = term.recv() => {}, _ = interrupt.recv() => {} }
        };
        let ended = running.until(stop).await;
        telemetry::flush();
        ended.map_err(AnyError::from)
    })
}
